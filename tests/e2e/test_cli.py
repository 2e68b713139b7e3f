"""The daily verbs of the command line: assets, jobs, locators, live, against the running installation."""

from __future__ import annotations

import json
import subprocess
import uuid
from pathlib import Path

import pytest


@pytest.fixture
def name():
    return f"cli-{uuid.uuid4().hex[:8]}"


def answer(done) -> dict | list:
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_from_a_file_to_where_it_plays(headwater, http, shared_media: Path, name):
    uploaded = answer(headwater("assets", "upload", name, shared_media / "azure-bumper.mp4", "--json"))
    assert uploaded["files"] == [{"name": "azure-bumper.mp4", "size": (shared_media / "azure-bumper.mp4").stat().st_size}]
    job = headwater("jobs", "submit", "AdaptiveStreaming", name, "--input", name, "--output", f"{name}-out", "--wait")
    assert job.returncode == 0, job.stderr
    assert "state      Finished" in job.stdout and "progress   100 %" in job.stdout
    shown = headwater("assets", "show", f"{name}-out")
    assert "azure-bumper.ism" in shown.stdout and "FILE" in shown.stdout
    paths = headwater("locators", "create", name, "--asset", f"{name}-out")
    assert paths.returncode == 0, paths.stderr
    lines = [line.split() for line in paths.stdout.splitlines()]
    assert lines[0] == ["PROTOCOL", "ENCRYPTION", "URL"]
    for protocol in ("Hls", "Dash", "SmoothStreaming"):
        urls = [line[-1] for line in lines if line[0] == protocol]
        assert urls, protocol
        assert http.get(urls[0], timeout=30).status_code == 200
    listed = answer(headwater("locators", "list", "--filter", f"properties/assetName eq '{name}-out'", "--json"))
    assert [locator["name"] for locator in listed] == [name]
    shown = headwater("locators", "show", name)
    assert shown.returncode == 0, shown.stderr
    said = [line.split() for line in shown.stdout.splitlines()]
    assert ["asset", f"{name}-out"] in said and ["policy", "Predefined_ClearStreamingOnly"] in said and ["ends", "never"] in said
    assert shown.stdout.endswith("\n\n" + paths.stdout)
    whole = answer(headwater("locators", "show", name, "--json"))
    assert whole["streamingLocator"]["properties"]["assetName"] == f"{name}-out" and whole["paths"]["streamingPaths"]
    assert headwater("locators", "delete", name).stdout == f"locator '{name}' is deleted.\n"
    again = headwater("locators", "delete", name)
    assert again.returncode == 1 and again.stderr == f"error: there is no locator '{name}'\n"


def test_a_job_that_fails_is_a_command_that_fails(headwater, shared_media: Path, name):
    headwater("assets", "upload", name, shared_media / "azure-bumper.mp4")
    job = headwater(
        "jobs", "submit", "AdaptiveStreaming", name, "--input", name, "--output", f"{name}-out", "--file", "nothing.mp4", "--wait"
    )
    assert job.returncode == 1
    assert "nothing.mp4" in job.stderr
    (listed,) = [job for job in answer(headwater("jobs", "list", "--json")) if job["name"] == name]
    assert listed["properties"]["state"] == "Error"
    table = headwater("jobs", "list").stdout.splitlines()
    assert any(name in line and "Error" in line for line in table)


def test_lists_go_over_pages(headwater, name):
    for number in range(5):
        assert headwater("assets", "create", f"{name}-{number}").returncode == 0
    found = answer(headwater("assets", "list", "--filter", f"contains(name,'{name}')", "--orderby", "name desc", "--json"))
    assert [asset["name"] for asset in found] == [f"{name}-{number}" for number in (4, 3, 2, 1, 0)]
    some = answer(headwater("assets", "list", "--filter", f"contains(name,'{name}')", "--limit", "3", "--json"))
    assert len(some) == 3


def test_a_live_event_is_made_shown_and_deleted(headwater, name):
    made = headwater("live", "create", name, "--protocol", "rtmp")
    assert made.returncode == 0, made.stderr
    assert "Stopped" in made.stdout
    listed = {event["name"]: event for event in answer(headwater("live", "list", "--json"))}
    assert listed[name]["properties"]["input"]["streamingProtocol"] == "RTMP"
    recording = headwater("live", "record", name, f"{name}-rec", "--window", "PT30M")
    assert recording.returncode == 0, recording.stderr
    assert f"{name}-rec" in recording.stdout and "PT30M" in recording.stdout
    assert headwater("live", "end-recording", name, f"{name}-rec").returncode == 0
    assert headwater("live", "delete", name).returncode == 0
    missing = headwater("live", "show", name)
    assert missing.returncode == 1 and f"Live event '{name}' not found" in missing.stderr


def test_an_installation_elsewhere_is_reached_with_a_token(headwater, connection, name, tmp_path):
    token = headwater("token", "--role", "viewer").stdout.strip()
    nowhere = ["--data", str(tmp_path)]
    command = [headwater.binary, "assets", "list", "--api-url", connection.apiUrl, *nowhere]
    environment = {"HEADWATER_TOKEN": token}
    if connection.get("caFile"):
        environment["HEADWATER_CA_FILE"] = connection.get("caFile")
    seen = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=180, check=False)
    assert seen.returncode == 0, seen.stderr
    assert seen.stdout.startswith("NAME")
    refused = subprocess.run(
        [headwater.binary, "assets", "create", name, "--api-url", connection.apiUrl, *nowhere],
        capture_output=True, text=True, env=environment, timeout=180, check=False,
    )
    assert refused.returncode == 1 and "403" in refused.stderr
    bare = subprocess.run(command, capture_output=True, text=True, env={}, timeout=180, check=False)
    assert bare.returncode == 1 and "HEADWATER_TOKEN" in bare.stderr


def test_completions_know_the_verbs(headwater):
    for shell in ("bash", "zsh", "fish"):
        script = subprocess.run(
            [headwater.binary, "completions", shell], capture_output=True, text=True, timeout=180, check=True
        ).stdout
        assert "end-recording" in script, shell
    # A reader that goes away early is not told of as a failure.
    early = subprocess.run(
        f"'{headwater.binary}' completions bash | head -1", shell=True, capture_output=True, text=True, timeout=180, check=True
    )
    assert early.stderr == ""
