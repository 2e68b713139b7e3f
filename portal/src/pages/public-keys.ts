/** Keys that tokens are verified with, as people have them: PEM (RFC 7468), of certificates and of RSA keys. */

import type { Schemas } from "../api/client";

export type PublicKey = Schemas["ContentKeyPolicyX509CertificateTokenKeyWrite"] | Schemas["ContentKeyPolicyRsaTokenKeyWrite"];

const BLOCK = /-----BEGIN ([A-Z0-9 ]+)-----([A-Za-z0-9+/=\s]+)-----END \1-----/g;

/** The keys in `text`, in its order. Throws an `Error` with a sentence for what is none. */
export function publicKeys(text: string): PublicKey[] {
  const found = [...text.matchAll(BLOCK)].map(([, label = "", body = ""]) => keyOf(label, body.replace(/\s+/g, "")));
  if (found.length === 0) throw new Error("There is no key in it: it begins with -----BEGIN PUBLIC KEY----- or -----BEGIN CERTIFICATE-----.");
  return found;
}

function keyOf(label: string, body: string): PublicKey {
  if (label === "CERTIFICATE") return { "@odata.type": "#Microsoft.Media.ContentKeyPolicyX509CertificateTokenKey", rawBody: body };
  if (label.includes("PRIVATE")) throw new Error("This is a private key. It stays where tokens are signed; its public key belongs here.");
  const der = Uint8Array.from(atob(body), (one) => one.charCodeAt(0));
  const rsa = label === "RSA PUBLIC KEY" ? der : label === "PUBLIC KEY" ? insideOf(der) : null;
  if (rsa === null) throw new Error(`A ${label.toLowerCase()} cannot be used here.`);
  // RSAPublicKey (RFC 8017, A.1.1): modulus and exponent.
  const [modulus, exponent] = items(only(items(rsa), SEQUENCE));
  if (modulus?.tag !== INTEGER || exponent?.tag !== INTEGER) throw new Error(NO_RSA);
  return { "@odata.type": "#Microsoft.Media.ContentKeyPolicyRsaTokenKey", modulus: number(modulus.body), exponent: number(exponent.body) };
}

const NO_RSA = "This is no RSA key, and tokens are verified with those only.";
const [INTEGER, BITS, OBJECT_ID, SEQUENCE] = [0x02, 0x03, 0x06, 0x30];
/** rsaEncryption (RFC 8017, A.1). */
const RSA = [0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01];

/** The key in a SubjectPublicKeyInfo (RFC 5280, 4.1). */
function insideOf(der: Uint8Array): Uint8Array {
  const [algorithm, bits] = items(only(items(der), SEQUENCE));
  const kind = algorithm?.tag === SEQUENCE ? items(algorithm.body)[0] : undefined;
  if (kind?.tag !== OBJECT_ID || kind.body.join() !== RSA.join() || bits?.tag !== BITS) throw new Error(NO_RSA);
  // Its first byte counts the bits that are left over: none.
  return bits.body.subarray(1);
}

interface Item {
  tag: number;
  body: Uint8Array;
}

/** The elements of DER one after the other. */
function items(der: Uint8Array): Item[] {
  const found: Item[] = [];
  let at = 0;
  while (at < der.length) {
    const tag = der[at] ?? 0;
    let length = der[at + 1] ?? 0;
    at += 2;
    if (length > 0x80 && length <= 0x84) {
      const bytes = length - 0x80;
      length = der.subarray(at, at + bytes).reduce((sum, byte) => sum * 256 + byte, 0);
      at += bytes;
    }
    if (length === 0x80 || at + length > der.length) throw new Error("The key is cut off.");
    found.push({ tag, body: der.subarray(at, at + length) });
    at += length;
  }
  return found;
}

function only([first]: Item[], tag: number): Uint8Array {
  if (first?.tag !== tag) throw new Error(NO_RSA);
  return first.body;
}

/** Without the zero that keeps it from being negative. */
function number(bytes: Uint8Array): string {
  const from = bytes[0] === 0 ? 1 : 0;
  return btoa(Array.from(bytes.subarray(from), (byte) => String.fromCharCode(byte)).join(""));
}
