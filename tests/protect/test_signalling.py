"""What players are told is what shaka-packager tells them, and what other readers read."""

import base64
import hashlib
import struct
import uuid
import xml.etree.ElementTree as ElementTree
from pathlib import Path
from xml.sax.saxutils import escape

import cpix
import pytest
from conftest import run
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from lxml import etree
from test_frames import FRAGMENTS, PICTURES

KID = "00112233445566778899aabbccddeeff"
KEY = "0f1e2d3c4b5a69788796a5b4c3d2e1f0"
OTHER = ("10112233445566778899aabbccddeeff", "101e2d3c4b5a69788796a5b4c3d2e1f0")
LA_URL = "https://video.example/keys/PlayReady/?a=1&b=<2>"
NAMESPACE = "{http://schemas.microsoft.com/DRM/2007/03/PlayReadyHeader}"
SYSTEMS = {
    "widevine": "edef8ba979d64acea3c827dcd51d21ed",
    "playready": "9a04f07998404286ab92e65be0885f95",
    "common": "1077efecc0b24d02ace33c1e52e2fb4b",
}


def ours(examples, scheme, *keys):
    lines = run(examples / "signal", scheme, *keys).decode().splitlines()
    return {name: base64.b64decode(value) for name, value in (line.split("\t") for line in lines)}


def boxes(data):
    while data:
        size, kind = struct.unpack(">I4s", data[:8])
        yield kind, data[8:size]
        data = data[size:]


def pssh(body):
    """System, version, key ids, data."""
    version, system, rest = body[0], body[4:20].hex(), body[20:]
    kids = []
    if version:
        count = struct.unpack(">I", rest[:4])[0]
        kids = [rest[4 + 16 * at : 20 + 16 * at].hex() for at in range(count)]
        rest = rest[4 + 16 * count :]
    (length,) = struct.unpack(">I", rest[:4])
    assert length == len(rest) - 4
    return system, version, kids, rest[4:]


def protobuf(data):
    """Fields of a message of numbers and bytes."""
    fields = {}

    def varint():
        nonlocal data
        value = shift = 0
        while True:
            byte, data = data[0], data[1:]
            value |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                return value

    while data:
        tag = varint()
        if tag & 7 == 0:
            value = varint()
        else:
            assert tag & 7 == 2
            length = varint()
            value, data = data[:length], data[length:]
        fields.setdefault(tag >> 3, []).append(value)
    return fields


def header(data):
    """The header of a PlayReady object: version, algorithm, key ids with checksums, licence URLs, and what else there is in its data."""
    total, count, kind, length = struct.unpack("<IHHH", data[:10])
    assert (total, count, kind, length) == (len(data), 1, 1, len(data) - 10)
    root = ElementTree.fromstring(data[10:].decode("utf-16-le"))
    assert root.tag == f"{NAMESPACE}WRMHEADER"
    find = lambda name: root.findall(f".//{NAMESPACE}{name}")  # noqa: E731
    if root.get("version") == "4.0.0.0":
        algorithm = find("ALGID")[0].text
        keys = [(find("KID")[0].text, find("CHECKSUM")[0].text)]
    else:
        (algorithm,) = {kid.get("ALGID") for kid in find("KID")}
        keys = [(kid.get("VALUE"), kid.get("CHECKSUM")) for kid in find("KID")]
    (data,) = root
    assert data.tag == f"{NAMESPACE}DATA"
    others = sorted(child.tag for child in data if child.tag not in (f"{NAMESPACE}LA_URL",))
    return root.get("version"), algorithm, keys, [url.text for url in find("LA_URL")], others


@pytest.fixture(scope="module")
def theirs(packager, tmp_path_factory):
    folder = tmp_path_factory.mktemp("theirs")
    source = folder / "source.mp4"
    run("ffmpeg", "-v", "error", "-y", *PICTURES, "-c:v", "libx264", *FRAGMENTS, source)

    def make(scheme):
        out = folder / f"{scheme}.mp4"
        run(
            packager, f"in={source},stream=video,out={out}", "--enable_raw_key_encryption", "--protection_scheme", scheme,
            "--protection_systems", "Widevine,PlayReady,CommonSystem", "--keys", f"label=:key_id={KID}:key={KEY}",
            "--playready_extra_header_data", f"<LA_URL>{escape(LA_URL)}</LA_URL>",
        )  # fmt: skip
        moov = next(body for kind, body in boxes(out.read_bytes()) if kind == b"moov")
        return {pssh(body)[0]: pssh(body) for kind, body in boxes(moov) if kind == b"pssh"}

    return make


@pytest.mark.parametrize("scheme", ["cenc", "cbcs"])
def test_pssh_says_what_shaka_packager_says(scheme, examples, theirs):
    expected = theirs(scheme)
    made = ours(examples, scheme, KID, KEY, LA_URL)
    parsed = {name: pssh(next(boxes(made[name]))[1]) for name in SYSTEMS}
    assert parsed["common"] == expected[SYSTEMS["common"]]

    system, version, kids, data = parsed["widevine"]
    assert (system, version, kids) == (SYSTEMS["widevine"], 0, [])
    fields, their_fields = protobuf(data), protobuf(expected[system][3])
    assert fields[2] == their_fields[2] == [bytes.fromhex(KID)]
    # The packager names cenc as well, which goes without saying.
    assert fields.get(9, [0x63656E63]) == their_fields.get(9, [0x63656E63])
    assert set(fields) <= {2, 9}

    system, version, kids, data = parsed["playready"]
    assert (system, version, kids) == (SYSTEMS["playready"], 0, [])
    assert data == made["object"]
    assert header(data) == header(expected[system][3])
    assert header(data)[3] == [LA_URL]


@pytest.mark.parametrize(
    ("scheme", "count", "version"),
    [("cenc", 1, "4.0.0.0"), ("cenc", 2, "4.2.0.0"), ("cbcs", 1, "4.3.0.0"), ("cbcs", 2, "4.3.0.0")],
)
def test_playready_headers_name_keys_as_guids_with_checksums(scheme, count, version, examples):
    pairs = [(KID, KEY), OTHER][:count]
    found, algorithm, keys, urls, _ = header(ours(examples, scheme, *(part for pair in pairs for part in pair))["object"])
    assert (found, algorithm, urls) == (version, "AESCTR" if scheme == "cenc" else "AESCBC", [])
    for (kid, key), (value, checksum) in zip(pairs, keys, strict=True):
        guid = uuid.UUID(kid).bytes_le
        assert base64.b64decode(value) == guid
        if scheme == "cbcs":
            assert checksum is None
        else:
            cipher = Cipher(algorithms.AES(bytes.fromhex(key)), modes.ECB()).encryptor()
            assert base64.b64decode(checksum) == cipher.update(guid)[:8]


@pytest.mark.parametrize("scheme", ["cenc", "cbcs"])
def test_another_reader_reads_our_cpix(scheme, examples):
    xml = ours(examples, scheme, KID, KEY, *OTHER)["cpix"]
    document = cpix.parse(xml)
    assert [str(key.kid) for key in document.content_keys] == [str(uuid.UUID(kid)) for kid in (KID, OTHER[0])]
    assert [base64.b64decode(key.cek) for key in document.content_keys] == [bytes.fromhex(key) for key in (KEY, OTHER[1])]
    assert [rule.intended_track_type for rule in document.usage_rules] == ["VIDEO", "AUDIO"]
    assert {str(system.system_id) for system in document.drm_systems} == {str(uuid.UUID(SYSTEMS["widevine"]))}
    if scheme == "cbcs":
        for key in document.content_keys:
            iv = hashlib.sha256(b"headwater constant iv" + uuid.UUID(str(key.kid)).bytes).digest()[:16]
            assert base64.b64decode(key.explicit_iv) == iv


def schema():
    """The schema of CPIX that PyPI's reader has beside it: that of version 2.3 but for the scheme of a content key, which is added
    here. (And a filter refers to a period, and is not the second of its name.)"""
    folder = Path(cpix.__file__).with_name("schema")
    text = (folder / "cpix.xsd").read_text()
    for old, new in (
        ('<xs:attribute name="periodId" type="xs:ID" ', '<xs:attribute name="periodId" type="xs:IDREF" '),
        (
            '<xs:attribute name="dependsOnKey" ',
            '<xs:attribute name="commonEncryptionScheme"><xs:simpleType><xs:restriction base="xs:string">'
            '<xs:enumeration value="cenc"/><xs:enumeration value="cbc1"/><xs:enumeration value="cens"/>'
            '<xs:enumeration value="cbcs"/></xs:restriction></xs:simpleType></xs:attribute><xs:attribute name="dependsOnKey" ',
        ),
    ):
        assert text.count(old) == 1, old
        text = text.replace(old, new)
    return etree.XMLSchema(etree.fromstring(text.encode(), base_url=str(folder / "cpix.xsd")))


@pytest.mark.parametrize("scheme", ["cenc", "cbcs"])
def test_our_cpix_is_what_its_schema_says(scheme, examples):
    rules = schema()
    document = etree.fromstring(ours(examples, scheme, KID, KEY, *OTHER)["cpix"])
    rules.assertValid(document)
    # Every element and attribute that there can be is there, so that none goes unchecked.
    names = {etree.QName(element).localname for element in document.iter()}
    assert {"PSSH", "ContentProtectionData", "HLSSignalingData", "SmoothStreamingProtectionHeaderData"} <= names
    assert {"KeyPeriodFilter", "LabelFilter", "VideoFilter", "AudioFilter", "BitrateFilter", "ContentKeyPeriod"} <= names
    for wrong in ("ContentKeyUsageRule", "ContentKey", "DRMSystem"):
        broken = etree.fromstring(etree.tostring(document))
        del next(broken.iter(f"{{urn:dashif:org:cpix}}{wrong}")).attrib["kid"]
        assert not rules.validate(broken), wrong
