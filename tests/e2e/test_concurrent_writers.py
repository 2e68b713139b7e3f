"""Several writers on one resource at the same time: nobody's change is lost, and one of many makes a thing."""

from __future__ import annotations

import base64
import threading
import time
import uuid
from concurrent.futures import ThreadPoolExecutor

import requests

import media
from headwater import FINAL_STATES, Account
from live_worker import LiveWorker

WRITERS = 8
ROUNDS = 15


class Writer:
    """A client with a connection of its own, which does what the Azure SDKs do with an answer that says: later."""

    def __init__(self, connection):
        self.root = connection.apiUrl
        self.base = connection.apiUrl + connection.management_path()
        self.session = requests.Session()
        self.session.verify = connection.verify
        self.session.headers["Authorization"] = f"Bearer {connection.token}"
        self.session.params = {"api-version": "2022-08-01"}

    def call(self, method: str, path: str, body=None) -> requests.Response:
        for _ in range(4):
            answer = self.session.request(method, self.base + path, json=body, timeout=60)
            if answer.status_code not in (429, 500, 502, 503, 504):
                break
        assert answer.status_code < 500, answer.text
        return answer

    def mkio(self, method: str, path: str, body=None) -> requests.Response:
        """The same on the other surface: `path` from the root on."""
        base, self.base = self.base, self.root
        try:
            return self.call(method, path, body)
        finally:
            self.base = base

    def properties(self, path: str) -> dict:
        answer = self.call("GET", path)
        assert answer.status_code == 200, answer.text
        return answer.json()["properties"]


def unique(kind: str) -> str:
    return f"{kind}-{uuid.uuid4().hex[:8]}"


def together(connection, work) -> list:
    """Runs `work(number, writer)` for every writer, all from the same moment on."""
    barrier = threading.Barrier(WRITERS)

    def run(number: int):
        writer = Writer(connection)
        barrier.wait()
        return work(number, writer)

    with ThreadPoolExecutor(WRITERS) as pool:
        return list(pool.map(run, range(WRITERS)))


def test_no_update_is_lost(connection):
    """Each writer owns one track of the asset and one member of the asset itself, and finds both as it left them."""
    asset = f"race-{uuid.uuid4().hex[:8]}"
    first = Writer(connection)
    assert first.call("PUT", f"/assets/{asset}", {"properties": {}}).status_code == 201
    members = ["description", "alternateId"]

    def work(number: int, writer: Writer):
        if number < len(members):
            member = members[number]
            for turn in range(ROUNDS):
                value = f"{number}-{turn}"
                made = writer.call("PATCH", f"/assets/{asset}", {"properties": {member: value}})
                assert made.json()["properties"][member] == value
                seen = writer.call("GET", f"/assets/{asset}").json()
                assert seen["properties"][member] == value
            return
        name = f"filter-{number}"
        for turn in range(ROUNDS):
            body = {"properties": {"firstQuality": {"bitrate": 1 + number * 1000 + turn}}}
            assert writer.call("PUT", f"/assets/{asset}/assetFilters/{name}", body).status_code in (200, 201)
            seen = writer.call("GET", f"/assets/{asset}/assetFilters/{name}").json()
            assert seen["properties"]["firstQuality"]["bitrate"] == 1 + number * 1000 + turn

    together(connection, work)
    end = first.call("GET", f"/assets/{asset}").json()["properties"]
    assert [end[member] for member in members] == [f"{number}-{ROUNDS - 1}" for number in range(len(members))]
    filters = first.call("GET", f"/assets/{asset}/assetFilters").json()["value"]
    assert len(filters) == WRITERS - len(members)
    first.call("DELETE", f"/assets/{asset}")


def test_one_of_many_makes_it(connection):
    """The same asset, transform and locator put by all at once: one 201, and everybody gets the same one."""
    run = uuid.uuid4().hex[:8]

    def work(number: int, writer: Writer):
        made = writer.call("PUT", f"/assets/one-{run}", {"properties": {"description": str(number)}})
        return made.status_code, made.json()["properties"]["assetId"]

    answers = together(connection, work)
    assert sorted(status for status, _ in answers) == [200] * (WRITERS - 1) + [201]
    assert len({asset_id for _, asset_id in answers}) == 1

    locator = {"properties": {"assetName": f"one-{run}", "streamingPolicyName": "Predefined_ClearStreamingOnly"}}

    def publish(number: int, writer: Writer):
        made = writer.call("PUT", f"/streamingLocators/one-{run}", locator)
        return made.status_code, made.json()["properties"]["streamingLocatorId"]

    answers = together(connection, publish)
    assert sum(status == 201 for status, _ in answers) >= 1
    assert {status for status, _ in answers} <= {200, 201}, "the same request again is answered as the first was"
    assert len({locator_id for _, locator_id in answers}) == 1

    def different(number: int, writer: Writer):
        body = {"properties": {**locator["properties"], "alternativeMediaId": str(number)}}
        return writer.call("PUT", f"/streamingLocators/each-{run}", body).status_code

    statuses = together(connection, different)
    assert sorted(statuses) == [201] + [409] * (WRITERS - 1)
    writer = Writer(connection)
    for path in (f"/streamingLocators/one-{run}", f"/streamingLocators/each-{run}", f"/assets/one-{run}"):
        assert writer.call("DELETE", path).status_code in (200, 204)


def each_owns_a_member(connection, path: str, members: dict) -> None:
    """A writer for each member of one resource, and each finds its own as it left it: after every turn and in the end.

    `members`: to each the path in the resource (`properties.description`) and what makes a turn's value.
    """
    def at(resource: dict, member: str):
        for step in member.split("."):
            resource = resource[step]
        return resource

    def body(member: str, value) -> dict:
        for step in reversed(member.split(".")):
            value = {step: value}
        return value

    owned = list(members.items())

    def work(number: int, writer: Writer):
        if number >= len(owned):
            # The others read, and never see anything by halves.
            for _ in range(ROUNDS):
                assert writer.call("GET", path).status_code == 200
            return None
        member, make = owned[number]
        for turn in range(ROUNDS):
            answer = writer.call("PATCH", path, body(member, make(turn)))
            assert answer.status_code in (200, 202), answer.text
            assert at(writer.call("GET", path).json(), member) == make(turn), (member, turn)
        return member

    together(connection, work)
    end = Writer(connection).call("GET", path).json()
    assert {member: at(end, member) for member in members} == {
        member: make(ROUNDS - 1) for member, make in members.items()
    }


def preset(name: str) -> dict:
    return {"preset": {"@odata.type": "#Microsoft.Media.BuiltInStandardEncoderPreset", "presetName": name}}


def shown(outputs: list[dict]) -> list[str]:
    return [output["preset"]["presetName"] for output in outputs]


def test_members_of_a_transform(connection):
    path = f"/transforms/{unique('race')}"
    first = Writer(connection)
    ladders = ["H264SingleBitrateSD", "H264SingleBitrate720p", "AACGoodQualityAudio"]
    assert first.call("PUT", path, {"properties": {"outputs": [preset(ladders[0])]}}).status_code == 201

    def work(number: int, writer: Writer):
        for turn in range(ROUNDS):
            if number % 2:
                value = f"{number}-{turn}"
                changed = writer.call("PATCH", path, {"properties": {"description": value}})
                assert changed.json()["properties"]["description"] == value
            else:
                # As many outputs as the writer's number says: a list is one writer's, whole.
                wanted = [ladders[turn % 3]] * (number + 1)
                changed = writer.call("PATCH", path, {"properties": {"outputs": [preset(name) for name in wanted]}})
                assert shown(changed.json()["properties"]["outputs"]) == wanted
            assert changed.status_code == 200, changed.text
            seen = shown(writer.properties(path)["outputs"])
            assert len(seen) in (1, 3, 5, 7) and len(set(seen)) == 1

    together(connection, work)
    end = first.properties(path)
    assert end["description"].endswith(f"-{ROUNDS - 1}") and len(end["outputs"]) in (1, 3, 5, 7)
    assert first.call("DELETE", path).status_code == 200


def test_members_of_a_live_event(connection):
    """Description, tags, preview and input of one that is stopped."""
    path = f"/liveEvents/{unique('race')}"
    first = Writer(connection)
    event = {"location": "local", "properties": {"input": {"streamingProtocol": "RTMP"}}}
    assert first.call("PUT", path, event).status_code == 201
    token = first.properties(path)["input"]["accessToken"]

    def allowed(turn: int) -> list[dict]:
        return [{"name": f"n{turn}", "address": f"192.0.2.{turn}", "subnetPrefixLength": 32}]

    each_owns_a_member(connection, path, {
        "properties.description": lambda turn: f"d{turn}",
        "tags": lambda turn: {f"t{turn}": "x", "team": str(turn)},
        "properties.input.accessControl.ip.allow": allowed,
        "properties.preview.accessControl.ip.allow": allowed,
    })
    assert first.properties(path)["input"]["accessToken"] == token
    assert first.call("DELETE", path).status_code == 200


def test_members_of_a_streaming_endpoint(connection):
    path = f"/streamingEndpoints/{unique('race')}"
    first = Writer(connection)
    assert first.call("PUT", path, {"location": "local", "properties": {"scaleUnits": 0}}).status_code == 201
    each_owns_a_member(connection, path, {
        "properties.description": lambda turn: f"d{turn}",
        "tags": lambda turn: {f"t{turn}": "x", "team": str(turn)},
        "properties.scaleUnits": lambda turn: turn % 10,
        "properties.customHostNames": lambda turn: [f"h{turn}.example", f"i{turn}.example"],
    })
    assert first.call("DELETE", path).status_code == 200


def test_labels_and_members_of_an_asset(connection):
    """On both surfaces: labels are MK.IO's."""
    name = unique("race")
    first = Writer(connection)
    path = f"/api/v1/projects/{connection.project}/media/assets/{name}"
    assert first.mkio("PUT", path, {"properties": {}}).status_code == 201

    def work(number: int, writer: Writer):
        for turn in range(ROUNDS):
            value = f"{number}-{turn}"
            if number == 0:
                answer = writer.mkio("PATCH", path, {"labels": {f"k{turn}": "x", "of": value}})
                assert answer.json()["labels"] == {f"k{turn}": "x", "of": value}
                # A label that is gone finds nothing any more.
                for label, found in ((f"of={value}", [name]), (f"of={number}-{turn - 1}", [])):
                    query = f"?$label={label}&$filter=name eq '{name}'"
                    listed = writer.mkio("GET", path.removesuffix(f"/{name}") + query).json()["value"]
                    assert [asset["name"] for asset in listed] == found
            elif number == 1:
                answer = writer.call("PATCH", f"/assets/{name}", {"properties": {"description": value}})
                assert answer.json()["properties"]["description"] == value
            else:
                answer = writer.mkio("GET", path)
                assert len(answer.json().get("labels") or {}) in (0, 2)
            assert answer.status_code == 200, answer.text

    together(connection, work)
    end = first.mkio("GET", path).json()
    assert (end["labels"]["of"], end["properties"]["description"]) == (f"0-{ROUNDS - 1}", f"1-{ROUNDS - 1}")
    assert first.call("DELETE", f"/assets/{name}").status_code == 200


def option(name: str) -> dict:
    """One whose token key says whose it is."""
    return {
        "name": name,
        "configuration": {"@odata.type": "#Microsoft.Media.ContentKeyPolicyClearKeyConfiguration"},
        "restriction": {
            "@odata.type": "#Microsoft.Media.ContentKeyPolicyTokenRestriction",
            "issuer": name, "audience": "a", "restrictionTokenType": "Jwt",
            "primaryVerificationKey": {
                "@odata.type": "#Microsoft.Media.ContentKeyPolicySymmetricTokenKey",
                "keyValue": base64.b64encode(name.encode().ljust(32, b".")).decode(),
            },
        },
    }  # fmt: skip


def test_options_of_a_content_key_policy(connection):
    """A list of options is one writer's, whole, and its secrets are those of what is shown; nobody's description is lost."""
    path = f"/contentKeyPolicies/{unique('race')}"
    first = Writer(connection)
    assert first.call("PUT", path, {"properties": {"options": [option("first")]}}).status_code == 201
    policy_id = first.properties(path)["policyId"]

    def whole(properties: dict) -> list[str]:
        """The names of the options: the same count and writer in all of them, in their order."""
        found = [entry["name"] for entry in properties["options"]]
        assert [entry["restriction"]["issuer"] for entry in properties["options"]] == found
        if found != ["first"]:
            writer, turn, _ = found[0].split("-")
            assert found == [f"{writer}-{turn}-{at}" for at in range(int(writer) + 1)]
        assert properties["policyId"] == policy_id
        assert len({entry["policyOptionId"] for entry in properties["options"]}) == len(found)
        return found

    def work(number: int, writer: Writer):
        for turn in range(ROUNDS):
            if number == WRITERS - 1:
                changed = writer.call("PATCH", path, {"properties": {"description": str(turn)}})
                assert changed.json()["properties"]["description"] == str(turn)
                assert writer.properties(path)["description"] == str(turn)
            else:
                wanted = [option(f"{number}-{turn}-{at}") for at in range(number + 1)]
                changed = writer.call("PATCH", path, {"properties": {"options": wanted}})
                assert whole(changed.json()["properties"]) == [entry["name"] for entry in wanted]
            assert changed.status_code == 200, changed.text
            secrets = writer.call("POST", f"{path}/getPolicyPropertiesWithSecrets").json()
            for name, entry in zip(whole(secrets), secrets["options"], strict=True):
                key = base64.b64decode(entry["restriction"]["primaryVerificationKey"]["keyValue"])
                assert key == name.encode().ljust(32, b".")

    together(connection, work)
    end = first.properties(path)
    assert end["description"] == str(ROUNDS - 1)
    assert whole(end)[0].split("-")[1] == str(ROUNDS - 1)
    assert first.call("DELETE", path).status_code == 200


def test_members_of_a_team(connection):
    """A JSON Patch adds to what is there: of eight that come at once all are in, and of eight that go all are out."""
    first, team = Writer(connection), unique("race")
    path = f"/api/v1/organization/teams/{team}"
    assert first.mkio("PUT", path, {"spec": {}}).status_code == 201
    users = []
    for number in range(WRITERS):
        invite = {"spec": {"name": f"{team} {number}", "teams": [team]}}
        secret = first.mkio("POST", "/api/v1/organization/invites", invite).json()["metadata"]["secret"]
        users.append(first.mkio("POST", "/api/v1/invites/accept", {"secret": secret}).json()["spec"]["user"])
    assert first.mkio("PATCH", path, [{"op": "replace", "path": "/spec/members", "value": {}}]).status_code == 200

    def patch(writer: Writer, operation: dict) -> dict:
        deadline = time.monotonic() + 120
        while True:
            # A patch that meets others all the time is refused with 503, and nothing is written.
            answer = writer.session.patch(writer.root + path, json=[operation], timeout=60)
            if answer.status_code != 503:
                break
            assert time.monotonic() < deadline, answer.text
        assert answer.status_code == 200, answer.text
        return answer.json()["spec"]["members"]

    def join(number: int, writer: Writer):
        user = users[number]
        members = patch(writer, {"op": "add", "path": f"/spec/members/{user}", "value": {"isTeamAdmin": False}})
        assert user in members

    def leave(number: int, writer: Writer):
        assert users[number] not in patch(writer, {"op": "remove", "path": f"/spec/members/{users[number]}"})

    together(connection, join)
    assert set(first.mkio("GET", path).json()["spec"]["members"]) == set(users)
    together(connection, leave)
    assert first.mkio("GET", path).json()["spec"]["members"] == {}
    for user in users:
        assert first.mkio("DELETE", f"/api/v1/organization/users/{user}").status_code == 200
    assert first.mkio("DELETE", path).status_code == 200


def test_live_outputs_of_one_event(connection):
    """An event may have three: of eight that are asked for at once, three are made, and each asset is recorded into once."""
    run = uuid.uuid4().hex[:8]
    first, event = Writer(connection), f"/liveEvents/race-{run}"
    body = {
        "location": "local",
        "properties": {"input": {"streamingProtocol": "RTMP"}, "encoding": {"encodingType": "PassthroughStandard"}},
    }
    assert first.call("PUT", event, body).status_code == 201

    def output(asset: str) -> dict:
        return {"properties": {"assetName": asset, "archiveWindowLength": "PT1H"}}

    def ask(number: int, writer: Writer):
        asset = f"race-{run}-{number}"
        assert writer.call("PUT", f"/assets/{asset}", {"properties": {}}).status_code == 201
        return writer.call("PUT", f"{event}/liveOutputs/o{number}", output(asset)).status_code

    statuses = together(connection, ask)
    assert sorted(statuses) == [201] * 3 + [409] * (WRITERS - 3)
    made = {f"o{number}" for number, status in enumerate(statuses) if status == 201}
    outputs = first.call("GET", f"{event}/liveOutputs").json()
    assert {entry["name"] for entry in outputs["value"]} == made and outputs["@odata.count"] == 3
    # Another event has room, and no asset that is recorded into already.
    taken = f"race-{run}-{min(made)[1:]}"
    other = f"/liveEvents/race-{run}-b"
    assert first.call("PUT", other, body).status_code == 201
    again = first.call("PUT", f"{other}/liveOutputs/o", output(taken))
    assert 400 <= again.status_code < 500, again.text

    free = next(f"race-{run}-{number}" for number, status in enumerate(statuses) if status == 409)
    once = together(connection, lambda number, writer: writer.call("PUT", f"{other}/liveOutputs/p{number}", output(free)))
    assert sum(answer.status_code == 201 for answer in once) == 1
    assert all(answer.status_code == 201 or 400 <= answer.status_code < 500 for answer in once)

    def remove(number: int, writer: Writer):
        return [writer.call("DELETE", f"{event}/liveOutputs/{name}").status_code for name in sorted(made)]

    removed = together(connection, remove)
    for statuses in zip(*removed, strict=True):
        assert sorted(statuses) == [200] + [204] * (WRITERS - 1)
    for entry in first.call("GET", f"{other}/liveOutputs").json()["value"]:
        first.call("DELETE", f"{other}/liveOutputs/{entry['name']}")
    for path in (event, other):
        assert first.call("DELETE", path).status_code == 200


def test_a_live_event_is_started_and_stopped_by_all(connection):
    """Each start leads to the same operation or finds it done; nobody is told of a wrong state."""
    first, name = Writer(connection), unique("race")
    event = f"/liveEvents/{name}"
    body = {"location": "local", "properties": {"input": {"streamingProtocol": "RTMP"}}}
    assert first.call("PUT", event, body).status_code == 201

    def until(state: str) -> None:
        deadline = time.monotonic() + 120
        while (found := first.properties(event)["resourceState"]) != state:
            assert time.monotonic() < deadline, found
            time.sleep(0.1)

    with LiveWorker(connection):
        for action, state in (("start", "Running"), ("stop", "Stopped")):
            body = {} if action == "stop" else None
            answers = together(connection, lambda _, writer, to=f"{event}/{action}", body=body: writer.call("POST", to, body))
            assert {answer.status_code for answer in answers} <= {200, 202}, [answer.text for answer in answers]
            operations = {answer.headers["Location"] for answer in answers if answer.status_code == 202}
            assert len(operations) == 1, operations
            until(state)
    answers = together(connection, lambda _, writer: writer.call("DELETE", event).status_code)
    assert sorted(answers) == [200] + [204] * (WRITERS - 1)


def test_a_job_is_made_cancelled_and_deleted_once(connection, account: Account, tmp_path):
    """One with work for minutes, asked for, called off and deleted by all at once."""
    first, run = Writer(connection), uuid.uuid4().hex[:8]
    rules = f"/api/v1/projects/{connection.project}/webhook/rules/race-{run}"
    # Nobody listens: what counts is how often something was to be told.
    types = ["Microsoft.Media.JobCanceling", "Microsoft.Media.JobCanceled"]
    rule = {"spec": {"enabled": True, "url": "https://hooks.example.invalid/", "events": types}}
    assert first.mkio("PUT", rules, rule).status_code == 201
    source = account.upload(media.make_counted(tmp_path / "long.mp4", seconds=120))
    transform, output = f"/transforms/race-{run}", account.new_asset("out")
    assert first.call("PUT", transform, {"properties": {"outputs": [preset("H264MultipleBitrate1080p")]}}).status_code == 201
    path = f"{transform}/jobs/race-{run}"
    properties = {
        "input": {"@odata.type": "#Microsoft.Media.JobInputAsset", "assetName": source},
        "outputs": [{"@odata.type": "#Microsoft.Media.JobOutputAsset", "assetName": output}],
    }

    made = together(connection, lambda _, writer: writer.call("PUT", path, {"properties": properties}))
    assert [answer.status_code for answer in made] == [201] * WRITERS
    assert len({answer.json()["properties"]["created"] for answer in made}) == 1
    assert len(first.call("GET", f"{transform}/jobs").json()["value"]) == 1

    def update(number: int, writer: Writer):
        body = {"priority": "High"} if number % 2 else {"description": "kept"}
        return writer.call("PATCH", path, {"properties": body}).status_code

    assert set(together(connection, update)) == {200}
    changed = first.properties(path)
    assert (changed["priority"], changed["description"]) == ("High", "kept")
    assert changed["state"] not in FINAL_STATES

    cancelled = together(connection, lambda _, writer: writer.call("POST", f"{path}/cancelJob"))
    assert [answer.status_code for answer in cancelled] == [200] * WRITERS, [answer.text for answer in cancelled]
    deadline = time.monotonic() + 120
    while (job := first.properties(path))["state"] not in FINAL_STATES:
        assert time.monotonic() < deadline, job["state"]
        time.sleep(0.2)
    assert (job["state"], job["outputs"][0]["state"]) == ("Canceled", "Canceled")
    # Once it is over, a further cancel changes nothing of it.
    assert first.call("POST", f"{path}/cancelJob").status_code == 200
    assert first.properties(path) == job

    def events() -> list[str]:
        return [entry["type"] for entry in first.mkio("GET", f"{rules}/events").json()["value"]]

    deadline = time.monotonic() + 120
    while "Microsoft.Media.JobCanceled" not in (seen := events()):
        assert time.monotonic() < deadline, seen
        time.sleep(0.2)
    assert seen.count("Microsoft.Media.JobCanceled") == 1
    assert seen.count("Microsoft.Media.JobCanceling") <= 1

    deleted = together(connection, lambda _, writer: writer.call("DELETE", path).status_code)
    assert sorted(deleted) == [200] + [204] * (WRITERS - 1)
    assert first.call("GET", path).status_code == 404
    assert first.mkio("DELETE", rules).status_code == 200
    statuses = together(connection, lambda _, writer: writer.call("DELETE", transform).status_code)
    assert sorted(statuses) == [200] + [204] * (WRITERS - 1)
