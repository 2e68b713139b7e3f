// Content key policies: every configuration and restriction, and who sees their secrets.

import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { UUID, account, all, names, refused, skip, statuses, unique } from "./lib/headwater.mjs";

const type = (name) => `#Microsoft.Media.ContentKeyPolicy${name}`;
const bytes = (length, start = 0) => Uint8Array.from({ length }, (_, at) => (start + 37 * at) % 256);

// Byte values from all over, so that a wrong alphabet of base64 or a missing pad would show.
const SECRET = bytes(61, 250);
const RSA = { odataType: type("RsaTokenKey"), exponent: Uint8Array.of(1, 0, 1), modulus: bytes(256, 195) };
const X509 = { odataType: type("X509CertificateTokenKey"), rawBody: bytes(700, 48) };

const symmetric = (keyValue) => ({ odataType: type("SymmetricTokenKey"), keyValue });
const clear = { odataType: type("ClearKeyConfiguration") };
const open = { odataType: type("OpenRestriction") };
const token = (more) => ({
  odataType: type("TokenRestriction"),
  issuer: "https://issuer.example",
  audience: "players",
  restrictionTokenType: "Jwt",
  primaryVerificationKey: symmetric(SECRET),
  ...more,
});

const LICENSE = {
  allowTestDevices: true,
  securityLevel: "SL2000",
  beginDate: new Date("2029-01-01T00:00:00.000Z"),
  expirationDate: new Date("2030-01-01T12:34:56.000Z"),
  gracePeriod: "PT1H30M",
  licenseType: "Persistent",
  contentType: "UltraVioletStreaming",
  contentKeyLocation: { odataType: type("PlayReadyContentEncryptionKeyFromHeader") },
  playRight: {
    digitalVideoOnlyContentRestriction: false,
    imageConstraintForAnalogComponentVideoRestriction: true,
    imageConstraintForAnalogComputerMonitorRestriction: false,
    allowPassingVideoContentToUnknownOutput: "NotAllowed",
    firstPlayExpiration: "PT48H",
    scmsRestriction: 2,
    agcAndColorStripeRestriction: 1,
    explicitAnalogTelevisionOutputRestriction: { bestEffort: true, configurationData: 3 },
    uncompressedDigitalVideoOpl: 250,
    compressedDigitalVideoOpl: 400,
    analogVideoOpl: 150,
    compressedDigitalAudioOpl: 250,
    uncompressedDigitalAudioOpl: 250,
  },
};

const FAIRPLAY = {
  odataType: type("FairPlayConfiguration"),
  ask: bytes(16, 3),
  fairPlayPfx: Buffer.from(bytes(90, 7)).toString("base64"),
  fairPlayPfxPassword: "a password",
  rentalAndLeaseKeyType: "DualExpiry",
  rentalDuration: 3600,
  offlineRentalConfiguration: { playbackDurationSeconds: 500_000, storageDurationSeconds: 300_000 },
};

/** Every kind there is, once. */
const OPTIONS = [
  {
    name: "clear",
    configuration: clear,
    restriction: token({
      alternateVerificationKeys: [RSA, X509],
      requiredClaims: [
        { claimType: "tier", claimValue: "gold" },
        { claimType: "urn:microsoft:azure:mediaservices:contentkeyidentifier" },
      ],
    }),
  },
  {
    name: "widevine",
    configuration: { odataType: type("WidevineConfiguration"), widevineTemplate: '{"allowed_track_types":"SD_HD"}' },
    restriction: open,
  },
  {
    name: "playready",
    configuration: { odataType: type("PlayReadyConfiguration"), responseCustomData: "more", licenses: [LICENSE] },
    restriction: token({ primaryVerificationKey: X509, restrictionTokenType: "Swt" }),
  },
  {
    name: "fairplay",
    configuration: FAIRPLAY,
    restriction: token({
      primaryVerificationKey: RSA,
      openIdConnectDiscoveryDocument: "https://issuer.example/.well-known/openid-configuration",
    }),
  },
];

const KEY_ID = {
  ...LICENSE,
  contentKeyLocation: {
    odataType: type("PlayReadyContentEncryptionKeyFromKeyIdentifier"),
    keyId: "0f1e2d3c-4b5a-6978-8796-a5b4c3d2e1f0",
  },
};

/** What was sent, without the ids that the service added; byte arrays compare by content, whatever holds them. */
const sent = (options) =>
  options.map(({ policyOptionId, ...option }) => {
    assert.match(policyOptionId, UUID);
    return plain(option);
  });

function plain(value) {
  if (value instanceof Uint8Array) return { bytes: Buffer.from(value).toString("hex") };
  if (value instanceof Date) return value;
  if (Array.isArray(value)) return value.map(plain);
  if (value === null || typeof value !== "object") return value;
  return Object.fromEntries(Object.entries(value).map(([name, member]) => [name, plain(member)]));
}

describe("content key policies", { skip }, () => {
  const { client, where } = account();
  const policies = client.contentKeyPolicies;

  test("live through create, read, update, list and delete", async () => {
    const name = unique("keys");
    await refused(policies.get(...where, name), 404, { says: new RegExp(`'${name}'`) });
    await refused(policies.getPolicyPropertiesWithSecrets(...where, name), 404);
    await refused(policies.update(...where, name, { description: "none" }), 404);
    const put = (options) =>
      policies.createOrUpdate(...where, name, { description: "first", options: OPTIONS }, options);
    const { result: made, codes } = await statuses(put);
    assert.deepEqual(codes, [201]);
    assert.deepEqual([made.name, made.description], [name, "first"]);
    assert.equal(made.type, "Microsoft.Media/mediaservices/contentKeyPolicies");
    assert.match(made.policyId, UUID);
    assert.ok(made.created instanceof Date);
    assert.deepEqual(made.lastModified, made.created);
    assert.deepEqual(names(made.options), names(OPTIONS));
    assert.equal(new Set(made.options.map(({ policyOptionId }) => policyOptionId)).size, OPTIONS.length);

    const again = await statuses(put);
    assert.deepEqual(again.codes, [200]);
    assert.deepEqual([again.result.policyId, again.result.created], [made.policyId, made.created]);
    assert.deepEqual(again.result.options, made.options, "ids stay");
    assert.deepEqual(await policies.get(...where, name), again.result);

    const changed = await policies.update(...where, name, { description: "second" });
    assert.deepEqual([changed.description, changed.options], ["second", made.options]);
    const narrowed = await policies.update(...where, name, { options: [OPTIONS[0]] });
    assert.deepEqual([narrowed.description, names(narrowed.options)], ["second", ["clear"]]);

    const deleted = await statuses((options) => policies.delete(...where, name, options));
    const repeated = await statuses((options) => policies.delete(...where, name, options));
    assert.deepEqual([...deleted.codes, ...repeated.codes], [200, 204]);
    await refused(policies.get(...where, name), 404);
  });

  test("secrets are shown to those who ask for them, and byte by byte as they were sent", async () => {
    const name = unique("keys");
    const made = await policies.createOrUpdate(...where, name, { description: "all", options: OPTIONS });
    const secrets = await policies.getPolicyPropertiesWithSecrets(...where, name);
    assert.deepEqual([secrets.policyId, secrets.description], [made.policyId, "all"]);
    assert.deepEqual([secrets.created, secrets.lastModified], [made.created, made.lastModified]);
    assert.deepEqual(sent(secrets.options), plain(OPTIONS));
    assert.ok(secrets.options[0].restriction.primaryVerificationKey.keyValue instanceof Uint8Array);

    const listed = await all(policies.list(...where, { filter: `name eq '${name}'` }));
    for (const shown of [made, await policies.get(...where, name), ...listed]) {
      const [clearKey, , , fairPlay] = shown.options;
      assert.equal(clearKey.restriction.primaryVerificationKey.keyValue, null);
      for (const member of ["ask", "fairPlayPfx", "fairPlayPfxPassword"]) {
        assert.equal(fairPlay.configuration[member], null, member);
      }
      // What is public stays to be seen.
      assert.deepEqual(plain(clearKey.restriction.alternateVerificationKeys), plain([RSA, X509]));
      assert.deepEqual(clearKey.restriction.requiredClaims[0], { claimType: "tier", claimValue: "gold" });
      assert.equal(fairPlay.configuration.rentalDuration, 3600);
      const text = JSON.stringify(shown);
      for (const secret of [SECRET, FAIRPLAY.ask]) assert.ok(!text.includes(Buffer.from(secret).toString("base64")));
    }
    await policies.delete(...where, name);
  });

  test("what was read without secrets cannot be written back over them", async () => {
    const name = unique("keys");
    const options = [{ configuration: clear, restriction: token() }];
    const read = await policies.createOrUpdate(...where, name, { options });
    const field = "properties.options[0].restriction.primaryVerificationKey.keyValue";
    await refused(policies.createOrUpdate(...where, name, read), 400, { field, says: /required/ });
    const secrets = await policies.getPolicyPropertiesWithSecrets(...where, name);
    assert.deepEqual(Buffer.from(secrets.options[0].restriction.primaryVerificationKey.keyValue), Buffer.from(SECRET));
    // With the secrets it can.
    secrets.description = "copied";
    const copied = await policies.createOrUpdate(...where, name, secrets);
    assert.deepEqual([copied.policyId, copied.description], [read.policyId, "copied"]);
    assert.deepEqual(copied.options, read.options);
    await policies.delete(...where, name);
  });

  test("a PlayReady licence may take its key by identifier", async () => {
    const name = unique("keys");
    const options = [
      {
        name: "by id",
        configuration: { odataType: type("PlayReadyConfiguration"), licenses: [KEY_ID] },
        restriction: open,
      },
    ];
    const made = await policies.createOrUpdate(...where, name, { options });
    assert.deepEqual(sent(made.options), plain(options));
    await policies.delete(...where, name);
  });

  test("lists are filtered, ordered and paged", async () => {
    const stem = unique("keys");
    const options = [{ configuration: clear, restriction: open }];
    const made = [];
    for (const letter of ["a", "b", "c"]) {
      made.push(
        await policies.createOrUpdate(...where, `${stem}-${letter}`, { description: `${stem} ${letter}`, options }),
      );
    }
    const list = async (listing) => names(await all(policies.list(...where, listing)));
    const [a, b, c] = names(made);
    assert.deepEqual(await list({ filter: `properties/policyId eq '${made[1].policyId}'` }), [b]);
    assert.deepEqual(await list({ filter: `properties/description eq '${stem} c'` }), [c]);
    const filter = `name ge '${stem}' and name le '${stem}-z'`;
    assert.deepEqual(await list({ filter, orderby: "properties/created desc" }), [c, b, a]);
    assert.deepEqual(await list({ filter: `${filter} and name ne '${b}'` }), [a, c]);
    const pages = await all(policies.list(...where, { filter, top: 2, orderby: "name" }).byPage());
    assert.deepEqual(pages.map(names), [[a, b], [c]]);
    await refused(list({ filter: "properties/options eq 'x'" }), 400, { field: "$filter" });
    for (const name of [a, b, c]) await policies.delete(...where, name);
  });

  test("what makes no sense is refused by name", async () => {
    const name = unique("keys");
    const option = "properties.options[0]";
    const { restriction, configuration } = {
      restriction: `${option}.restriction`,
      configuration: `${option}.configuration`,
    };
    const playReady = (license) => ({
      odataType: type("PlayReadyConfiguration"),
      licenses: [{ ...LICENSE, ...license }],
    });
    for (const [change, field] of [
      [{ restriction: token({ restrictionTokenType: "Saml" }) }, `${restriction}.restrictionTokenType`],
      [{ restriction: token({ primaryVerificationKey: null }) }, `${restriction}.primaryVerificationKey`],
      [
        { restriction: token({ primaryVerificationKey: symmetric(new Uint8Array()) }) },
        `${restriction}.primaryVerificationKey.keyValue`,
      ],
      [
        { restriction: token({ openIdConnectDiscoveryDocument: "ftp://x/y" }) },
        `${restriction}.openIdConnectDiscoveryDocument`,
      ],
      [{ restriction: { odataType: type("UnknownRestriction") } }, `${restriction}.@odata.type`],
      [{ configuration: { odataType: type("UnknownConfiguration") } }, `${configuration}.@odata.type`],
      [
        { configuration: { odataType: type("WidevineConfiguration"), widevineTemplate: "[" } },
        `${configuration}.widevineTemplate`,
      ],
      [{ configuration: { ...FAIRPLAY, ask: bytes(15) } }, `${configuration}.ask`],
      [{ configuration: { ...FAIRPLAY, rentalDuration: 2 ** 53 } }, `${configuration}.rentalDuration`],
      [
        { configuration: { ...FAIRPLAY, rentalDuration: 9_223_372_036_854_775_807 } },
        `${configuration}.rentalDuration`,
      ],
      [{ configuration: playReady({ licenseType: "Unknown" }) }, `${configuration}.licenses[0].licenseType`],
      [
        { configuration: playReady({ playRight: { ...LICENSE.playRight, scmsRestriction: 4 } }) },
        `${configuration}.licenses[0].playRight.scmsRestriction`,
      ],
    ]) {
      const options = [{ configuration: clear, restriction: open, ...change }];
      await refused(policies.createOrUpdate(...where, name, { options }), 400, { field });
    }
    await refused(policies.createOrUpdate(...where, name, { options: [] }), 400, { field: "properties.options" });
    await refused(policies.createOrUpdate(...where, name, { description: "x" }), 400, { field: "properties.options" });
    await refused(policies.get(...where, name), 404);
  });
});
