"""Requests that make no sense, at every resource that can be put, on both surfaces: refused with 400, in the words of the surface,
naming the member at fault; and what was there before is there afterwards, and nothing else."""

from __future__ import annotations

import base64
import copy
import http.client
import json
import ssl
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from urllib.parse import urlsplit

import pytest
from azure.storage.blob import AccountSasPermissions, ResourceTypes, generate_account_sas

from headwater import FINAL_STATES, HeadwaterConnection

PRESET = {"@odata.type": "#Microsoft.Media.BuiltInStandardEncoderPreset", "presetName": "H264SingleBitrateSD"}
PROTOCOLS = {"download": False, "dash": True, "hls": True, "smoothStreaming": False}


@dataclass(frozen=True)
class Kind:
    """A kind of resource. In its texts `RUN` stands for what only this run of a test has."""

    path: str
    """Of a resource, with `NAME`: below the account, or from the root on if it begins with `/`."""

    body: dict
    """What makes one."""

    longest: int = 260
    """Characters of a name."""

    needs: tuple[tuple[str, dict], ...] = ()
    """What there has to be before, by path and body."""

    fixed: bool = False
    """Whether one that is there takes no other body, and says so before it looks at what the body names."""

    endless: tuple[str, ...] = ()
    """Where members begin whose texts are no names, and only limited by how long a body may be."""


ASSET = ("assets/RUN", {"properties": {}})
TRANSFORM = ("transforms/RUN", {"properties": {"outputs": [{"preset": PRESET}]}})
EVENT = ("liveEvents/RUN", {"location": "local", "properties": {"input": {"streamingProtocol": "RTMP"}}})
EVENT_BODY = {
    "location": "local",
    "tags": {"team": "video"},
    "properties": {
        "description": "d",
        "input": {
            "streamingProtocol": "RTMP",
            "accessControl": {"ip": {"allow": [{"name": "n", "address": "192.0.2.0", "subnetPrefixLength": 24}]}},
        },
        "encoding": {"encodingType": "PassthroughStandard"},
        "streamOptions": ["LowLatency"],
        "useStaticHostname": True,
        "hostnamePrefix": "news",
    },
}

MEDIA = {
    "asset": Kind(
        "assets/NAME",
        {"properties": {"description": "d", "alternateId": "a", "storageAccountName": "local", "container": "c-RUN"}},
    ),
    "account filter": Kind(
        "accountFilters/NAME",
        {
            "properties": {
                "presentationTimeRange": {
                    "startTimestamp": 0, "endTimestamp": 90, "timescale": 1, "forceEndTimestamp": False,
                },
                "firstQuality": {"bitrate": 1},
                "tracks": [{"trackSelections": [{"property": "Type", "operation": "Equal", "value": "Audio"}]}],
            }
        },
    ),
    "asset filter": Kind("assets/RUN/assetFilters/NAME", {"properties": {"firstQuality": {"bitrate": 1}}}, needs=(ASSET,)),
    "content key policy": Kind(
        "contentKeyPolicies/NAME",
        {
            "properties": {
                "description": "d",
                "options": [
                    {
                        "name": "o",
                        "configuration": {"@odata.type": "#Microsoft.Media.ContentKeyPolicyClearKeyConfiguration"},
                        "restriction": {
                            "@odata.type": "#Microsoft.Media.ContentKeyPolicyTokenRestriction",
                            "issuer": "i",
                            "audience": "a",
                            "restrictionTokenType": "Jwt",
                            "primaryVerificationKey": {
                                "@odata.type": "#Microsoft.Media.ContentKeyPolicySymmetricTokenKey",
                                "keyValue": base64.b64encode(bytes(32)).decode(),
                            },
                            "requiredClaims": [{"claimType": "t", "claimValue": "v"}],
                        },
                    }
                ],
            }
        },
        endless=("properties.options[0].restriction.",),
    ),
    "transform": Kind(
        "transforms/NAME",
        {
            "properties": {
                "description": "d",
                "outputs": [{"preset": PRESET, "onError": "ContinueJob", "relativePriority": "High"}],
            }
        },
    ),
    "job": Kind(
        "transforms/RUN/jobs/NAME",
        {
            "properties": {
                "input": {"@odata.type": "#Microsoft.Media.JobInputAsset", "assetName": "RUN", "files": ["a.mp4"]},
                "outputs": [{"@odata.type": "#Microsoft.Media.JobOutputAsset", "assetName": "RUN-out"}],
                "priority": "Low",
                "description": "d",
                "correlationData": {"k": "v"},
            }
        },
        needs=(ASSET, ("assets/RUN-out", {"properties": {}}), TRANSFORM),
        fixed=True,
        endless=("properties.correlationData.",),
    ),
    "streaming policy": Kind(
        "streamingPolicies/NAME",
        {
            "properties": {
                "noEncryption": {"enabledProtocols": PROTOCOLS},
                "envelopeEncryption": {
                    "enabledProtocols": PROTOCOLS,
                    "contentKeys": {"defaultKey": {"label": "l"}},
                    "customKeyAcquisitionUrlTemplate": "https://keys.example/{ContentKeyId}",
                },
            }
        },
        fixed=True,
    ),
    "streaming locator": Kind(
        "streamingLocators/NAME",
        {
            "properties": {
                "assetName": "RUN",
                "streamingPolicyName": "Predefined_ClearStreamingOnly",
                "alternativeMediaId": "m",
                "startTime": "2020-01-01T00:00:00Z",
                "endTime": "2099-01-01T00:00:00Z",
                "filters": [],
            }
        },
        needs=(ASSET,),
        fixed=True,
    ),
    "streaming endpoint": Kind(
        "streamingEndpoints/NAME",
        {
            "location": "local",
            "tags": {"team": "video"},
            "properties": {
                "description": "d", "scaleUnits": 0, "cdnEnabled": False, "customHostNames": ["media.example"],
            },
        },
        24,
    ),
    "live event": Kind("liveEvents/NAME", EVENT_BODY, 32),
    "live output": Kind(
        "liveEvents/RUN/liveOutputs/NAME",
        {
            "properties": {
                "description": "d",
                "assetName": "RUN",
                "archiveWindowLength": "PT1H",
                "manifestName": "show",
                "hls": {"fragmentsPerTsSegment": 2},
                "outputSnapTime": 90,
            }
        },
        256,
        (ASSET, EVENT),
        fixed=True,
    ),
    "upload rule": Kind(
        "uploadRules/NAME",
        {
            "properties": {
                "enabled": False,
                "description": "d",
                "storageAccountName": "local",
                "container": "drop-RUN",
                "prefix": "p",
                "suffixes": [".mp4"],
                "transformName": "RUN",
                "streamingPolicyName": "Predefined_ClearStreamingOnly",
            }
        },
        64,
        (TRANSFORM,),
    ),
}

OF_MKIO = {
    "webhook rule": Kind(
        "/api/v1/projects/PROJECT/webhook/rules/NAME",
        {
            "spec": {
                "enabled": False,
                "url": "https://hooks.example.invalid/",
                "events": ["MediaKind.JobFinished"],
                "headers": {"X-A": "b"},
                "queryParams": {"q": "1"},
                "authentication": {"headers": {"X-Key": "k"}, "queryParams": {}},
            }
        },
        64,
    ),
    "storage account": Kind(
        "storage/NAME",
        {"spec": {"type": "Microsoft.Storage", "url": "BLOBS", "description": "d", "credential": {"sasToken": "SAS"}}},
        64,
    ),
    "team": Kind(
        "/api/v1/organization/teams/NAME",
        {"spec": {"description": "d", "members": {}, "scopes": {"PROJECT": {"roles": ["viewer"]}}}},
        64,
    ),
    "client": Kind(
        "/api/v1/organization/clients/NAME", {"spec": {"description": "d", "role": "viewer", "project": "PROJECT"}}, 64
    ),
    "project": Kind("/api/v1/projects/NAME", {"spec": {"displayName": "d"}}, 24),
}

OF_ARM = {
    "account": Kind(
        "/subscriptions/SUBSCRIPTION/resourceGroups/GROUP/providers/Microsoft.Media/mediaServices/NAME",
        {"location": "local", "tags": {"team": "video"}},
        24,
    ),
}

CASES_OF_ARM = [("ARM", kind) for kind in MEDIA | OF_ARM]
CASES = CASES_OF_ARM + [("MK.IO", kind) for kind in MEDIA | OF_MKIO]


def called(case: tuple[str, str]) -> str:
    return " ".join(case)


class Surface:
    """One way in, and what its refusals look like."""

    def __init__(self, name: str, connection: HeadwaterConnection):
        self.name, self.connection = name, connection
        arm = name == "ARM"
        self.account = connection.management_path() if arm else f"/api/v1/projects/{connection.project}/media"
        self.query = "api-version=2022-08-01" if arm else ""
        self.at = urlsplit(connection.apiUrl)

    def send(self, method: str, path: str, body: bytes | None = None, query: str | None = None):
        """A request as it is written, which a client's library would tidy. Answers status and text."""
        query = self.query if query is None else query
        path = path if path.startswith("/") else f"{self.account}/{path}"
        if self.at.scheme == "https":
            context = ssl.create_default_context(cafile=self.connection.caFile)
            link = http.client.HTTPSConnection(self.at.netloc, timeout=60, context=context)
        else:
            link = http.client.HTTPConnection(self.at.netloc, timeout=60)
        try:
            headers = {"Authorization": f"Bearer {self.connection.token}"}
            if body is not None:
                headers["Content-Type"] = "application/json"
            link.request(method, f"{path}?{query}" if query else path, body, headers)
            answer = link.getresponse()
            return answer.status, answer.read().decode()
        finally:
            link.close()

    def fault(self, status: int, text: str) -> tuple[str, str]:
        """Field and sentence of a refusal, whose shape is the surface's and complete."""
        assert status == 400, f"{status} {text}"
        answer = json.loads(text)
        error = answer["error"]
        if self.name == "ARM":
            assert set(answer) == {"error"} and set(error) <= {"code", "message", "target", "details"}
            found, sentence = error.get("target", ""), error["message"]
        else:
            assert set(answer) == {"error", "status", "ref"} and set(error) == {"code", "detail", "extraDetail"}
            assert answer["status"] == 400 and answer["ref"]
            found, sentence = error["extraDetail"].get("field", ""), error["detail"]
        assert error["code"] == "BadRequest"
        assert found, text
        assert sentence.startswith(f"{found}: ") and len(sentence.split()) > 2, sentence
        return found, sentence


class Subject:
    """A kind of resource on a surface, with one that is there and a name that is free."""

    def __init__(self, surface: Surface, kind: Kind):
        connection = surface.connection
        self.surface, self.kind, self.run = surface, kind, f"bad{uuid.uuid4().hex[:10]}"
        self.words = {
            "RUN": self.run,
            "PROJECT": connection.project,
            "SUBSCRIPTION": connection.subscriptionId,
            "GROUP": connection.resourceGroup,
            "BLOBS": connection.blobUrl,
            "SAS": account_sas(connection),
        }
        for path, body in kind.needs:
            self.put(self.filled(path), self.filled(body))
        self.body = self.filled(kind.body)
        self.there, self.free = self.path(f"{self.run}a"), self.path(f"{self.run}b")
        self.put(self.there, self.body)
        self.before = self.settled()

    def filled(self, value):
        """The same with this run's words in it."""
        if isinstance(value, dict):
            return {self.filled(name): self.filled(member) for name, member in value.items()}
        if isinstance(value, list):
            return [self.filled(item) for item in value]
        if isinstance(value, str):
            for word, here in self.words.items():
                value = value.replace(word, here)
        return value

    def path(self, name: str) -> str:
        return self.filled(self.kind.path).replace("NAME", name)

    def put(self, path: str, body: dict) -> None:
        status, text = self.surface.send("PUT", path, json.dumps(body).encode())
        assert status in (200, 201), f"{path}: {status} {text}"

    def settled(self) -> tuple[int, str]:
        """The one that is there, once nobody works on it any more: a job ends by itself."""
        deadline = time.monotonic() + 120
        while True:
            status, text = self.get(self.there)
            assert status == 200, text
            if json.loads(text).get("properties", {}).get("state", FINAL_STATES[0]) in FINAL_STATES:
                return status, text
            assert time.monotonic() < deadline, text
            time.sleep(0.1)

    def get(self, path: str):
        return self.surface.send("GET", path)

    def refused(self, body: bytes, what: str, meaning: bool = False) -> str:
        """Both the one that is there and a new one are refused for the same member, which is returned.

        `meaning`: the body is well made, and makes no sense.
        """
        found = set()
        for path in (self.there, self.free):
            if path == self.there and meaning and self.kind.fixed:
                continue
            status, text = self.surface.send("PUT", path, body)
            try:
                found.add(self.surface.fault(status, text)[0])
            except AssertionError as error:
                raise AssertionError(f"{what} at {path}: {error}") from None
        assert len(found) == 1, f"{what}: {found}"
        return found.pop()

    def untouched(self) -> None:
        """What was there is as it was, and nothing has come into being."""
        assert self.get(self.there) == self.before
        status, text = self.get(self.free)
        assert status == 404, text


def account_sas(connection: HeadwaterConnection) -> str:
    """What opens the embedded store for an hour."""
    fields = dict(field.split("=", 1) for field in connection.blobConnectionString.split(";") if field)
    expiry = datetime.now(timezone.utc) + timedelta(hours=1)
    everything = AccountSasPermissions(read=True, write=True, delete=True, list=True, create=True)
    types = ResourceTypes(container=True, object=True)
    return "?" + generate_account_sas("local", fields["AccountKey"], types, everything, expiry)


@pytest.fixture(params=CASES, ids=called)
def subject(request, connection) -> Subject:
    surface, kind = request.param
    made = Subject(Surface(surface, connection), (MEDIA | OF_MKIO | OF_ARM)[kind])
    yield made
    if kind == "project":
        # They go on the other surface.
        made.surface, made.there = Surface("ARM", connection), made.filled(OF_ARM["account"].path).replace("NAME", f"{made.run}a")
    for path in (made.there, *(made.filled(path) for path, _ in reversed(made.kind.needs))):
        status, text = made.surface.send("DELETE", path)
        assert status in (200, 204), f"{path}: {status} {text}"


def members(value, path: str = "") -> Iterator[tuple[str, object]]:
    """Every member of a body with its path, from the outside in."""
    if isinstance(value, dict):
        for name, member in value.items():
            at = f"{path}.{name}" if path else name
            yield at, member
            yield from members(member, at)
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield f"{path}[{index}]", item
            yield from members(item, f"{path}[{index}]")


def written(value, at: str, put_in: Callable[[str, str], str], path: str = "") -> str:
    """The body as JSON text in which the member at `at` is what `put_in` makes of its name (quoted, or empty) and its text."""
    def entry(name: str, member, inside: str) -> str:
        text = written(member, at, put_in, inside)
        if inside == at:
            return put_in(name, text)
        return f"{name}: {text}" if name else text

    if isinstance(value, dict):
        entries = [
            entry(json.dumps(name), member, f"{path}.{name}" if path else name) for name, member in value.items()
        ]
        return "{" + ", ".join(entries) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(entry("", item, f"{path}[{index}]") for index, item in enumerate(value)) + "]"
    return json.dumps(value)


def with_value(body: dict, at: str, text: str) -> bytes:
    return written(body, at, lambda name, _: f"{name}: {text}" if name else text).encode()


def touches(field: str, at: str) -> bool:
    """Whether a fault is named by the member or by something in it."""
    return field == at or field.startswith((f"{at}.", f"{at}["))


def test_the_good_one_can_be_put_again(subject: Subject):
    """Or else what is refused below might be refused for anything."""
    subject.put(subject.there, subject.body)
    status, text = subject.get(subject.free)
    assert status == 404, text


def test_a_member_that_is_there_twice(subject: Subject):
    for at, _ in members(subject.body):
        if at.endswith("]"):
            continue
        body = written(subject.body, at, lambda name, text: f"{name}: {text}, {name}: {text}").encode()
        assert subject.refused(body, f"{at} twice") == at
    subject.untouched()


BEYOND = ["9223372036854775808", "18446744073709551616", "-9223372036854775809", "1e300"]


def means_not_set(at: str, number: str) -> bool:
    """In a filter's times AMS writes 2^63 - 1 for what is not set, and clients that know no such number write more."""
    return ".presentationTimeRange." in at and not number.startswith("-")


def test_numbers_that_do_not_fit(subject: Subject):
    """Wherever they are, also in members that nobody reads."""
    for at, _ in members(subject.body):
        for number in BEYOND:
            if means_not_set(at, number):
                continue
            assert touches(subject.refused(with_value(subject.body, at, number), f"{at} = {number[:30]}"), at)
    for number in BEYOND:
        body = copy.deepcopy(subject.body) | {"unheard": 0}
        assert subject.refused(with_value(body, "unheard", number), number[:30]) == "unheard"
    subject.untouched()


def test_numbers_that_no_machine_holds(subject: Subject):
    for number in ("1e400", "9" * 400, "-1" + "0" * 5000):
        body = copy.deepcopy(subject.body) | {"unheard": 0}
        assert subject.refused(with_value(body, "unheard", number), number[:30]) == "unheard"
    subject.untouched()


def test_deep_nesting(subject: Subject):
    for depth in (40, 10_000):
        for begin, end in (("[", "]"), ('{"a":', "}")):
            text = begin * depth + "0" + end * depth
            for at, _ in members(subject.body):
                if at.count(".") < 2:
                    assert touches(subject.refused(with_value(subject.body, at, text), f"{at} deep"), at)
    subject.untouched()


def wrong_values(value) -> list[str]:
    """Of other types than the value has."""
    texts = {str: '"x"', bool: "true", int: "7", list: '["x"]', dict: '{"x": "y"}'}
    # An empty list or object is a value of its type; what another one means is not for this test to say.
    return [text for kind, text in texts.items() if type(value) is not kind]


def test_wrong_types(subject: Subject):
    for at, value in members(subject.body):
        for text in wrong_values(value):
            field = subject.refused(with_value(subject.body, at, text), f"{at} = {text}")
            assert touches(field, at), f"{at} = {text}: {field}"
    subject.untouched()


NOT_JSON = [
    b"", b" ", b"{", b"}", b"{}x", b"nul", b"\xef\xbb\xbf{}", b"{'properties': 1}", b'{"properties": NaN}', b'{"properties": {},}',
    b'{"properties": {"description": "\xff\xfe"}}', b'{"properties": "\\ud800"}', b"\x00", b"<properties/>",
]  # fmt: skip
NOT_AN_OBJECT = [b"[]", b'"x"', b"5", b"true", b"[{}]", b"null"]


def test_what_is_no_json_or_no_object(subject: Subject):
    for body in (*NOT_JSON, *NOT_AN_OBJECT):
        subject.refused(body, repr(body))
    whole = json.dumps(subject.body).encode()
    for length in range(1, len(whole), max(1, len(whole) // 40)):
        subject.refused(whole[:length], f"the first {length} bytes")
    subject.untouched()


def test_a_text_with_nul(subject: Subject):
    for at, value in members(subject.body):
        if isinstance(value, str):
            assert subject.refused(with_value(subject.body, at, '"a\\u0000b"'), f"{at} with NUL") == at
    subject.untouched()


def test_texts_without_end(subject: Subject):
    """Longer than anything of that kind may be; some are refused for what they are rather than for their length."""
    text, accepted = json.dumps("x" * 100_000), []
    for at, value in members(subject.body):
        if isinstance(value, str) and not at.startswith(subject.kind.endless):
            try:
                field = subject.refused(with_value(subject.body, at, text), f"{at} without end", meaning=True)
                assert touches(field, at), f"{at}: {field}"
            except AssertionError as error:
                accepted.append(str(error)[:200])
    assert accepted == []
    subject.untouched()


def test_more_than_a_mebibyte(subject: Subject):
    body = written(subject.body | {"more": "x" * (1 << 20)}, "", lambda name, text: text).encode()
    for path in (subject.there, subject.free):
        status, text = subject.surface.send("PUT", path, body)
        assert status == 413, text
        assert json.loads(text)["error"]["code"] == "RequestEntityTooLarge"
    subject.untouched()


def test_names_that_are_none(subject: Subject):
    """Slashes and other things that are written with a percent sign, and names that are too long."""
    body = json.dumps(subject.body).encode()
    long = ("x" * (subject.kind.longest + 1), "x" * 3000)
    for name in ("a%2Fb", "..%2F..%2Fx", "%2e%2e", "a%00b", "a%5Cb", "%20", "a%ff", *long):
        status, text = subject.surface.send("PUT", subject.path(name), body)
        try:
            field, _ = subject.surface.fault(status, text)
        except AssertionError as error:
            raise AssertionError(f"{name[:40]}: {error}") from None
        assert field in ("name", "path", "client"), f"{name[:40]}: {text}"
        status, text = subject.get(subject.path(name))
        assert status in (400, 404), f"{name[:40]}: {status} {text}"
    subject.untouched()


NEVER = ["", "2017-01-01", "latest", "2022-13-01", "20220801", "2022-08-01%00", "-preview", "2022-08-01-beta"]


@pytest.mark.parametrize("subject", CASES_OF_ARM, ids=called, indirect=True)
def test_versions_of_the_api_that_never_were(subject: Subject):
    body = json.dumps(subject.body).encode()
    never = ["", *(f"api-version={one}" for one in NEVER), "Api_Version=2022-08-01"]
    for query in never:
        for method, content in (("PUT", body), ("GET", None), ("DELETE", None)):
            status, text = subject.surface.send(method, subject.there, content, query)
            try:
                field, _ = subject.surface.fault(status, text)
            except AssertionError as error:
                raise AssertionError(f"{method} {query}: {error}") from None
            assert field == "api-version"
    subject.untouched()
