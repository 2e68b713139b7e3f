"""Media URLs as HTTP: ranges, conditions, CORS, caching (RFC 9110, RFC 9111, the Fetch standard)."""

from __future__ import annotations

import base64
import hmac
import socket
import ssl
import subprocess
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import urlsplit

import pytest
import requests
from azure.mgmt.media.models import (
    AkamaiAccessControl,
    AkamaiSignatureHeaderAuthenticationKey,
    CrossSiteAccessPolicies,
    IPAccessControl,
    IPRange,
    StreamingEndpoint,
    StreamingEndpointAccessControl,
)

import media


@pytest.fixture(scope="module")
def segment(http, counted_published) -> str:
    variant = next(r for r in media.read_master(http, counted_published.hls) if r.kind == "video")
    return media.read_media_playlist(http, variant.url).segments[1].url


@pytest.fixture(scope="module")
def urls(http, counted_published, segment) -> dict[str, str]:
    variant = next(r for r in media.read_master(http, counted_published.hls) if r.kind == "video")
    return {
        "master": counted_published.hls,
        "media playlist": variant.url,
        "mpd": counted_published.dash,
        "init": media.read_media_playlist(http, variant.url).init,
        "segment": segment,
        "download": next(url for url in counted_published.downloads if url.lower().endswith(".jpg")),
    }


KINDS = ["master", "media playlist", "mpd", "init", "segment", "download"]


@pytest.mark.parametrize("kind", KINDS)
def test_head_says_what_get_sends(http, urls, kind: str):
    got = http.get(urls[kind], headers={"Accept-Encoding": "identity"})
    head = http.head(urls[kind], headers={"Accept-Encoding": "identity"})
    assert head.status_code == got.status_code == 200
    assert head.content == b""
    for name in ("Content-Length", "Content-Type", "ETag", "Cache-Control"):
        assert head.headers.get(name) == got.headers.get(name), name
    assert int(got.headers["Content-Length"]) == len(got.content)


@pytest.mark.parametrize("kind", KINDS)
def test_a_known_etag_is_not_sent_again(http, urls, kind: str):
    tag = http.get(urls[kind]).headers["ETag"]
    for sent in (tag, f'"other", {tag}', "*"):
        again = http.get(urls[kind], headers={"If-None-Match": sent})
        assert (again.status_code, again.content) == (304, b""), sent
        assert again.headers["ETag"] == tag
    assert http.get(urls[kind], headers={"If-None-Match": '"other"'}).status_code == 200


@pytest.mark.parametrize("kind", ["init", "segment", "download"])
def test_the_same_url_gives_the_same_bytes(http, urls, kind: str):
    first, second = http.get(urls[kind]), http.get(urls[kind])
    assert (first.content, first.headers["ETag"]) == (second.content, second.headers["ETag"])


@pytest.mark.parametrize("kind", ["segment", "download"])
def test_ranges(http, urls, kind: str):
    whole = http.get(urls[kind])
    size = len(whole.content)
    assert whole.headers["Accept-Ranges"] == "bytes"
    for asked, first, last in (
        ("bytes=0-99", 0, 99),
        (f"bytes=100-{size * 2}", 100, size - 1),
        ("bytes=500-", 500, size - 1),
        ("bytes=-10", size - 10, size - 1),
        (f"bytes=-{size * 2}", 0, size - 1),
    ):
        part = http.get(urls[kind], headers={"Range": asked})
        assert part.status_code == 206, asked
        assert part.headers["Content-Range"] == f"bytes {first}-{last}/{size}"
        assert part.content == whole.content[first : last + 1]
        assert part.headers["ETag"] == whole.headers["ETag"]
    beyond = http.get(urls[kind], headers={"Range": f"bytes={size}-"})
    assert beyond.status_code == 416
    assert beyond.headers["Content-Range"] == f"bytes */{size}"
    for odd in ("bytes=9-1", "bytes=a-b", "lines=0-1", "bytes="):
        assert http.get(urls[kind], headers={"Range": odd}).status_code in (200, 416), odd


def test_a_range_of_a_changed_thing_is_the_whole_thing(http, segment):
    tag = http.get(segment).headers["ETag"]
    assert http.get(segment, headers={"Range": "bytes=0-9", "If-Range": tag}).status_code == 206
    assert http.get(segment, headers={"Range": "bytes=0-9", "If-Range": '"old"'}).status_code == 200


def test_a_request_for_an_old_version_is_refused(http, segment):
    refused = http.get(segment, headers={"If-Match": '"old"'})
    assert refused.status_code == 412
    assert refused.json()["code"] == "MPE_PRECONDITION_FAILED"
    tag = http.get(segment).headers["ETag"]
    assert http.get(segment, headers={"If-Match": f'"old", {tag}'}).status_code == 200


@pytest.mark.parametrize("kind", KINDS)
def test_any_page_may_read_it(http, urls, kind: str):
    got = http.get(urls[kind], headers={"Origin": "https://player.example"})
    # Twice is as bad as not at all, and `requests` would join two with a comma.
    assert got.headers["Access-Control-Allow-Origin"] == "*"
    exposed = got.headers["Access-Control-Expose-Headers"].lower()
    for name in ("content-length", "content-range", "date", "etag"):
        assert name in exposed


@pytest.mark.parametrize("kind", KINDS)
def test_a_preflight_is_answered(urls, connection, kind: str):
    answer = requests.options(
        urls[kind],
        headers={
            "Origin": "https://player.example",
            "Access-Control-Request-Method": "GET",
            "Access-Control-Request-Headers": "range,x-custom",
        },
        verify=connection.verify,
        timeout=30,
    )
    assert answer.status_code == 204
    assert answer.headers["Access-Control-Allow-Origin"] == "*"
    assert "GET" in answer.headers["Access-Control-Allow-Methods"]
    allowed = answer.headers["Access-Control-Allow-Headers"].lower()
    assert "range" in allowed and "x-custom" in allowed
    assert int(answer.headers["Access-Control-Max-Age"]) > 0


def test_segments_are_cached_long_and_errors_shortly(http, segment):
    assert "max-age=" in http.get(segment).headers["Cache-Control"]
    assert int(http.get(segment).headers["Cache-Control"].split("max-age=")[1].split(",")[0]) >= 86400
    missing = http.get(segment.replace("Fragments(video=", "Fragments(video=1"))
    assert missing.status_code == 404
    cache = missing.headers["Cache-Control"]
    assert "no-store" in cache or "no-cache" in cache or int(cache.split("max-age=")[1].split(",")[0]) <= 60


def test_writing_to_a_media_url_is_refused(http, segment):
    for method in ("POST", "PUT", "DELETE", "PATCH"):
        assert http.request(method, segment).status_code == 405


def test_escaped_and_plain_urls_are_the_same(http, counted_published):
    escaped = counted_published.hls.replace("(", "%28").replace(")", "%29").replace("=", "%3D")
    plain, same = http.get(counted_published.hls), http.get(escaped)
    assert same.status_code == 200
    for suffixed in (counted_published.hls + ".m3u8", counted_published.hls.replace("manifest(", "Manifest(")):
        assert http.get(suffixed).text == plain.text


def test_tls_offers_both_protocols(tls_connection):
    address = urlsplit(tls_connection.streamingUrl)
    context = ssl.create_default_context(cafile=tls_connection.caFile)
    for offered, chosen in ((["h2", "http/1.1"], "h2"), (["http/1.1"], "http/1.1")):
        context.set_alpn_protocols(offered)
        with (
            socket.create_connection((address.hostname, address.port), timeout=30) as tcp,
            context.wrap_socket(tcp, server_hostname=address.hostname) as tls,
        ):
            assert tls.selected_alpn_protocol() == chosen


def test_http2_carries_requests(tls_connection):
    answer = subprocess.run(
        ["curl", "-sS", "--http2", "--cacert", tls_connection.caFile, "-o", "/dev/null",
         "-w", "%{http_version} %{http_code}", f"{tls_connection.apiUrl}/api/ready"],
        capture_output=True, text=True, check=True, timeout=30,
    )
    assert answer.stdout == "2 200"


def test_many_who_ask_at_once_get_the_same(http, connection, counted_published):
    """The host answers a playlist again for a moment; nobody outside sees how it knows."""

    def ask(_):
        return requests.get(counted_published.hls, timeout=30)

    with ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(ask, range(64)))
    assert {answer.status_code for answer in answers} == {200}
    assert len({answer.content for answer in answers}) == 1
    assert not any("Headwater-Cache-Control" in answer.headers for answer in answers)
    metrics = requests.get(connection.metricsUrl, timeout=30).text
    hits = next(line for line in metrics.splitlines() if line.startswith("headwater_cache_hits_total"))
    assert float(hits.split()[1]) > 32


def test_requests_are_counted_and_logged(http, connection, segment):
    agent = f"e2e-{uuid.uuid4()}"
    answer = http.get(segment, headers={"User-Agent": agent})
    assert answer.status_code == 200
    locator = urlsplit(segment).path.split("/")[1]
    missing = f"{connection.streamingUrl}/{uuid.uuid4()}/film.ism/manifest"
    assert http.get(missing).status_code == 404
    wanted = {
        'headwater_route_requests_total{route="/:locator/...",status="2xx"}': 1,
        'headwater_route_seconds_count{route="/:locator/..."}': 2,
        f'headwater_locator_requests{{locator="{locator}",status="2xx"}}': 1,
        f'headwater_locator_bytes{{locator="{locator}"}}': len(answer.content),
        # Who makes locators up fills no table.
        'headwater_locator_requests{locator="other",status="4xx"}': 1,
    }
    # Counted when the last byte is sent, at once or a moment later.
    deadline = time.monotonic() + 60
    while True:
        metrics = requests.get(connection.metricsUrl, timeout=60).text
        lines = [line.rpartition(" ") for line in metrics.splitlines() if not line.startswith("#")]
        values = {series: float(value) for series, _, value in lines if series in wanted}
        if all(values.get(series, 0) >= least for series, least in wanted.items()):
            break
        assert time.monotonic() < deadline, values
        time.sleep(0.1)
    assert missing.split("/")[3] not in metrics
    assert 'headwater_http_requests_total{status="2xx"}' in metrics
    assert 'headwater_component_seconds_count{component="origin"}' in metrics
    # Written by a thread of its own, at once or a moment later.
    deadline = time.monotonic() + 60
    log = connection.path.parent / "access.log"
    while not any(agent in line for line in log.read_text().splitlines()):
        assert time.monotonic() < deadline, "the request is not in the access log"
        time.sleep(0.1)
    (line,) = [line for line in log.read_text().splitlines() if agent in line]
    assert f'"GET {urlsplit(segment).path} HTTP/1.1" 200 ' in line


def test_an_endpoint_of_its_own_host_name_serves_whom_it_is_for(account, counted_published, http):
    """By `Host`: what other endpoints serve is none of its business, nor is it theirs."""
    endpoints, where = account.client.streaming_endpoints, account.where
    name, host = account.name("ep").replace("_", "-")[:24].strip("-"), f"{uuid.uuid4().hex[:8]}.example"

    def allow(*ranges: IPRange) -> StreamingEndpointAccessControl:
        return StreamingEndpointAccessControl(ip=IPAccessControl(allow=list(ranges)))

    def get(host_name: str | None = None) -> requests.Response:
        # An instance knows a locator for some seconds.
        deadline = time.monotonic() + 60
        while True:
            got = http.get(counted_published.hls, headers={"Host": host_name} if host_name else {})
            yield got
            assert time.monotonic() < deadline, f"{host_name}: {got.status_code}"
            time.sleep(0.5)

    elsewhere = IPRange(name="elsewhere", address="192.0.2.0", subnet_prefix_length=24)
    here = IPRange(name="here", address="127.0.0.0", subnet_prefix_length=8)
    wanted = StreamingEndpoint(
        location="local", scale_units=0, custom_host_names=[host], access_control=allow(elsewhere), max_cache_age=5
    )
    made = endpoints.begin_create(*where, name, wanted, auto_start=True).result()
    try:
        assert made.access_control.ip.allow[0].address == "192.0.2.0" and made.max_cache_age == 5
        refused = next(got for got in get(host) if got.status_code == 404)
        assert refused.json()["code"] == "MPE_UNAUTHORIZED"
        assert next(get()).status_code == 200, "others are served where they were"
        endpoints.begin_update(*where, name, StreamingEndpoint(location="local", access_control=allow(here))).result()
        served = next(got for got in get(host) if got.status_code == 200)
        assert served.headers["Cache-Control"] == "public, max-age=5"
        assert next(get()).headers["Cache-Control"] == "public, max-age=60"
    finally:
        endpoints.begin_stop(*where, name).result()
        endpoints.begin_delete(*where, name).result()


def signed(url: str, key: bytes, identifier: str, at: float | None = None) -> dict[str, str]:
    """Headers with which Akamai's servers ask for `url`: signature header authentication, version 5."""
    parts = urlsplit(url)
    path = parts.path + (f"?{parts.query}" if parts.query else "")
    data = f"5, 192.0.2.4, 203.0.113.9, {int(at or time.time())}, {uuid.uuid4().hex}, {identifier}"
    signature = hmac.new(key, (data + path).encode(), "sha256").digest()
    return {"X-Akamai-G2O-Auth-Data": data, "X-Akamai-G2O-Auth-Sign": base64.b64encode(signature).decode()}


def test_an_endpoint_behind_akamai_serves_what_is_signed(account, counted_published, http, segment):
    endpoints, where = account.client.streaming_endpoints, account.where
    name, host = account.name("ep").replace("_", "-")[:24].strip("-"), f"{uuid.uuid4().hex[:8]}.example"
    keys = {"first": b"a key of the CDN", "second": b"another one of it"}
    listed = [
        AkamaiSignatureHeaderAuthenticationKey(identifier=identifier, base64_key=base64.b64encode(key).decode())
        for identifier, key in keys.items()
    ]
    flash = '<cross-domain-policy><allow-access-from domain="*"/></cross-domain-policy>'
    wanted = StreamingEndpoint(
        location="local",
        scale_units=0,
        custom_host_names=[host],
        access_control=StreamingEndpointAccessControl(
            akamai=AkamaiAccessControl(akamai_signature_header_authentication_key_list=listed)
        ),
        cross_site_access_policies=CrossSiteAccessPolicies(cross_domain_policy=flash),
    )
    endpoints.begin_create(*where, name, wanted, auto_start=True).result()
    try:
        shown = endpoints.get(*where, name)
        kept = shown.access_control.akamai.akamai_signature_header_authentication_key_list
        assert [(key.identifier, base64.b64decode(key.base64_key)) for key in kept] == list(keys.items())

        def ask(url: str, headers: dict[str, str]) -> requests.Response:
            return http.get(url, headers={"Host": host, **headers})

        # An instance knows a locator for some seconds.
        deadline = time.monotonic() + 60
        while (refused := ask(segment, {})).status_code == 200:
            assert time.monotonic() < deadline
            time.sleep(0.5)
        assert (refused.status_code, refused.json()["code"]) == (404, "MPE_UNAUTHORIZED")
        assert "not signed by a CDN" in refused.json()["detail"]
        whole = http.get(segment)
        assert whole.status_code == 200, "others are served where they were"
        for identifier, key in keys.items():
            served = ask(segment, signed(segment, key, identifier))
            assert (served.status_code, served.content) == (200, whole.content)
        queried = f"{counted_published.hls}?cdn=1&x"
        assert ask(queried, signed(queried, keys["first"], "first")).status_code == 200
        for url, key, identifier, at, why in [
            (segment, keys["second"], "first", None, "wrong"),
            (counted_published.hls, keys["first"], "first", None, "wrong"),
            (segment, keys["first"], "third", None, "not one of the endpoint's"),
            (segment, keys["first"], "first", time.time() - 60, "not of this time"),
        ]:
            answer = ask(segment, signed(url, key, identifier, at))
            assert answer.status_code == 404 and why in answer.json()["detail"], answer.text
        # Of Flash's players this host says something, and no other does.
        base = urlsplit(segment)
        policy = f"{base.scheme}://{base.netloc}/crossdomain.xml"
        answer = ask(policy, {})
        assert (answer.status_code, answer.text, answer.headers["Content-Type"]) == (200, flash, "text/xml")
        assert ask(f"{base.scheme}://{base.netloc}/clientaccesspolicy.xml", {}).status_code == 404
        # What a script has read it may write: the keys stay.
        endpoints.begin_update(*where, name, shown).result()
        assert ask(segment, signed(segment, keys["second"], "second")).status_code == 200
    finally:
        endpoints.begin_stop(*where, name).result()
        endpoints.begin_delete(*where, name).result()
