import { describe, expect, it } from "vitest";
import { publicKeys } from "./public-keys";

// openssl genrsa 1024; openssl rsa -pubout; openssl rsa -RSAPublicKey_out; openssl rsa -noout -modulus, in base64.
const SPKI = `-----BEGIN PUBLIC KEY-----
MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQC7iMqk8GsrneOyq6K4I6LFGeWr
xtifi1KlRvliFsVtCPJlhbcOaamvBQRdK/m0ftwNtvE2ZYayzl9WlmZg157j7snm
hFUvn0SvER5+2gUuu5FIljulczOLBuEj2isaMs/lBetUOsqL9MOdk/gxp4EPIjGo
j1pr6h5yh+yBJNglewIDAQAB
-----END PUBLIC KEY-----`;
const PKCS1 = `-----BEGIN RSA PUBLIC KEY-----
MIGJAoGBALuIyqTwayud47KrorgjosUZ5avG2J+LUqVG+WIWxW0I8mWFtw5pqa8F
BF0r+bR+3A228TZlhrLOX1aWZmDXnuPuyeaEVS+fRK8RHn7aBS67kUiWO6VzM4sG
4SPaKxoyz+UF61Q6yov0w52T+DGngQ8iMaiPWmvqHnKH7IEk2CV7AgMBAAE=
-----END RSA PUBLIC KEY-----`;
const MODULUS = "u4jKpPBrK53jsquiuCOixRnlq8bYn4tSpUb5YhbFbQjyZYW3DmmprwUEXSv5tH7cDbbxNmWGss5fVpZmYNee4+7J5oRVL59ErxEeftoFLruRSJY7pXMziwbhI9orGjLP5QXrVDrKi/TDnZP4MaeBDyIxqI9aa+oecofsgSTYJXs=";
// openssl ecparam -name prime256v1 -genkey -noout; openssl ec -pubout
const CURVE = `-----BEGIN PUBLIC KEY-----
MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE9fmlqs2wUpqG6fOfrJegvT6GZhXd
WDC5CMP8IWbpYSvr0Z5jxgo7UqtSfPVjjArX8j+GtsTQDxG+8ZhWGmEenQ==
-----END PUBLIC KEY-----`;

const key = { "@odata.type": "#Microsoft.Media.ContentKeyPolicyRsaTokenKey", modulus: MODULUS, exponent: "AQAB" };

describe("keys as PEM", () => {
  it("are RSA keys in both ways of writing them, and certificates as they are", () => {
    expect(publicKeys(SPKI)).toEqual([key]);
    const certificate = "-----BEGIN CERTIFICATE-----\nAAEC\nAwQF\n-----END CERTIFICATE-----";
    expect(publicKeys(`ours:\n${PKCS1}\nand\n${certificate}`)).toEqual([
      key,
      { "@odata.type": "#Microsoft.Media.ContentKeyPolicyX509CertificateTokenKey", rawBody: "AAECAwQF" },
    ]);
  });

  it("say what is wrong with them", () => {
    expect(() => publicKeys("a secret")).toThrow("There is no key in it");
    expect(() => publicKeys(CURVE)).toThrow("no RSA key");
    expect(() => publicKeys(SPKI.replaceAll("PUBLIC", "PRIVATE"))).toThrow("private key");
    expect(() => publicKeys(SPKI.replaceAll("PUBLIC KEY", "DH PARAMETERS"))).toThrow("A dh parameters cannot be used here");
    const [begin = "", ...lines] = SPKI.split("\n");
    const [end = "", body] = [lines.pop(), lines.join("")];
    for (let kept = 4; kept < body.length; kept += 4) {
      expect(() => publicKeys([begin, body.slice(0, kept), end].join("\n"))).toThrow(/cut off|no RSA key/);
    }
  });
});
