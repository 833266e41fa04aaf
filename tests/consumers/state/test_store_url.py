"""What a `REDIS_URL` says, and what is said of one that is wrong."""

from __future__ import annotations

import pytest

from consumers.state.store_url import Address, Target, read_url


def told(target: Target) -> tuple[object, ...]:
    access = target.access
    return (target.kind, [str(each) for each in target.addresses], access.username, access.password, access.db)


@pytest.mark.parametrize(
    ("url", "means"),
    [
        ("redis://localhost", ("single", ["localhost:6379"], None, None, 0)),
        ("redis://:secret@10.0.0.1:7000/2", ("single", ["10.0.0.1:7000"], None, "secret", 2)),
        ("rediss://app:p%40ss%2F@redis.example?db=3", ("single", ["redis.example:6379"], "app", "p@ss/", 3)),
        ("redis://[::1]:7000", ("single", ["::1:7000"], None, None, 0)),
        ("unix:///run/redis%20one.sock?db=1", ("single", ["/run/redis one.sock"], None, None, 1)),
        ("unix://app:secret@/run/redis.sock", ("single", ["/run/redis.sock"], "app", "secret", 0)),
        ("redis+cluster://a:1,b,c:3", ("cluster", ["a:1", "b:6379", "c:3"], None, None, 0)),
        ("redis+cluster://app:x@a", ("cluster", ["a:6379"], "app", "x", 0)),
        ("redis+sentinel://a,b:5/main", ("sentinel", ["a:26379", "b:5"], None, None, 0)),
        ("redis+sentinel://app:x@a/main/4", ("sentinel", ["a:26379"], "app", "x", 4)),
    ],
)
def test_every_form_says_which_servers_and_how(url: str, means: tuple[object, ...]) -> None:
    assert told(read_url(url)) == means


def test_sentinels_have_a_password_of_their_own_and_a_master_by_name() -> None:
    target = read_url("redis+sentinel://app:x@a/main?sentinel_username=s&sentinel_password=y%2F")
    assert (target.master, target.access.password) == ("main", "x")
    assert (target.sentinels.username, target.sentinels.password) == ("s", "y/")


@pytest.mark.parametrize("url", ["rediss://a", "rediss+cluster://a,b", "rediss+sentinel://a/main"])
def test_tls_checks_who_the_server_is(url: str) -> None:
    assert read_url(url).access.ssl == {"ssl_cert_reqs": "required", "ssl_check_hostname": True}
    plain = read_url(url.replace("rediss", "redis"))
    assert plain.access.ssl is plain.sentinels.ssl is None
    more = read_url(f"{url}?ssl_ca_certs=/ca.pem&ssl_check_hostname=false")
    assert more.access.ssl == {"ssl_cert_reqs": "required", "ssl_check_hostname": False, "ssl_ca_certs": "/ca.pem"}
    assert more.sentinels.ssl == (more.access.ssl if "sentinel" in url else more.sentinels.ssl)


@pytest.mark.parametrize(
    ("url", "mistake"),
    [
        ("http://secret", "begins with"),
        ("redis://secret/one", "no number"),
        ("redis://secret:port", "port"),
        ("redis://secret:99999", "port"),
        ("redis://secret1,secret2", "several servers"),
        ("redis://secret?ssl_ca_certs=x", "rediss"),
        ("redis://secret?retry_on_timeout=true", "no option retry_on_timeout"),
        ("redis+cluster://secret/1", "only the first"),
        ("redis+sentinel://secret", "no master"),
        ("rediss://secret?ssl_check_hostname=perhaps", "ssl_check_hostname"),
        ("unix://", "no socket"),
    ],
)
def test_a_url_that_is_wrong_is_told_without_telling_it(url: str, mistake: str) -> None:
    with pytest.raises(ValueError, match=mistake) as caught:
        read_url(url)
    assert "secret" not in str(caught.value)


def test_a_password_is_not_shown() -> None:
    assert "secret" not in repr(read_url("redis+sentinel://app:secret@a/main?sentinel_password=secret"))


@pytest.mark.parametrize(
    "url", ["redis://a", "rediss://a", "redis+cluster://a", "redis+sentinel://a/main", "unix:///a"]
)
def test_no_connection_does_anything_twice_by_itself(url: str) -> None:
    target = read_url(url)
    for access in (target.access, target.sentinels):
        options = access.pool(Address("a", 1), 4).connection_kwargs
        assert options["retry"].get_retries() == 0
        assert not options.get("retry_on_timeout")
        assert not options.get("retry_on_error")
        assert 0 < options["socket_connect_timeout"] <= 3
        assert 0 < access.timeout_s <= 10
