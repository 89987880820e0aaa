"""Mail over STARTTLS and over TLS with a login, and webhooks over https, with certificates that hold or do not."""

from __future__ import annotations

import datetime
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import trustme

from monitoring.alerts.alerts_house import OK, START, Time, declare, fill, receiver, saying
from monitoring.alerts.mail_house import LOGIN, Talked, at, letter, smtp
from rondo import clock
from rondo.catalog.engine import Catalog
from rondo.errors import UpstreamError, UpstreamUnreachable
from rondo.monitoring.alerts import notice, store
from rondo.monitoring.alerts.changes import new_notice
from rondo.monitoring.alerts.deliver import Courier
from rondo.monitoring.alerts.mail import Mailer
from rondo.monitoring.alerts.model import Notice
from rondo.monitoring.alerts.post import Poster
from rondo.monitoring.alerts.reach import Allowed
from rondo.settings.environment import Proxies
from upstream_certificates import AUTHORITY, server_context

USER, PASSWORD = LOGIN
LONG_AGO = datetime.datetime(2020, 1, 1, tzinfo=datetime.UTC)


@pytest.fixture(scope="module")
def ca_file(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("ca") / "ca.pem"
    AUTHORITY.cert_pem.write_to_path(str(path))
    return str(path)


@asynccontextmanager
async def encrypted(from_the_start: bool, *names: str, **manners: Any) -> Any:
    """A mail server that asks for a login, with a certificate for these names."""
    how = "tls" if from_the_start else "starttls"
    async with smtp(login=True, **{how: server_context(*names or ("127.0.0.1",), **manners)}) as came:
        yield came


async def mailed(came: Talked, ca_file: str | None, **more: Any) -> str | None:
    mailer = Mailer(ca_file=ca_file)
    try:
        return await mailer.send(at(came.port, **{"user": USER, "password": PASSWORD, **more}), letter())
    finally:
        mailer.close()


@pytest.mark.parametrize("from_the_start", [True, False], ids=["smtps", "starttls"])
async def test_mail_goes_encrypted_with_a_login(from_the_start: bool, ca_file: str) -> None:
    async with encrypted(from_the_start) as came:
        assert await mailed(came, ca_file, encrypted=from_the_start) is None
    (_,) = came.mails
    in_the_clear = came.commands[: len(came.commands) - len(came.encrypted)]
    assert [line.split(" ")[0].upper() for line in in_the_clear] == ([] if from_the_start else ["EHLO", "STARTTLS"])
    assert any(line.startswith("AUTH PLAIN ") for line in came.encrypted)


@pytest.mark.parametrize("from_the_start", [True, False], ids=["smtps", "starttls"])
@pytest.mark.parametrize(
    ("names", "of", "words"),
    [
        ((), {"authority": trustme.CA()}, "unable to get local issuer certificate"),
        (("mail.example.com",), {}, "IP address mismatch"),
        ((), {"not_after": LONG_AGO}, "certificate has expired"),
    ],
    ids=["unknown", "another's", "expired"],
)
async def test_a_mail_server_that_is_not_who_it_says_gets_nothing(
    from_the_start: bool, names: tuple[str, ...], of: dict[str, Any], words: str, ca_file: str
) -> None:
    async with encrypted(from_the_start, *names, **of) as came:
        with pytest.raises(UpstreamUnreachable, match=words) as refused:
            await mailed(came, ca_file, encrypted=from_the_start)
    assert "RONDO_CA_FILE" in str(refused.value)
    assert came.mails == []
    assert not any("AUTH" in line for line in came.commands)


async def test_a_wrong_password_is_told_without_any_password(ca_file: str) -> None:
    async with encrypted(True) as came:
        with pytest.raises(UpstreamError, match=r"refused it \(535\)") as refused:
            await mailed(came, ca_file, encrypted=True, password="wrong")
    assert "hunter2" not in str(refused.value)
    assert came.mails == []


async def test_starttls_to_a_server_that_hangs_up_is_a_failure(ca_file: str) -> None:
    async with smtp(login=True, features=("STARTTLS",), refuse="STARTTLS") as came:
        with pytest.raises(UpstreamError, match=r"refused it \(550\)"):
            await mailed(came, ca_file)
    assert not any("AUTH" in line for line in came.commands)


async def test_certificates_that_cannot_be_read_are_told(tmp_path: Path) -> None:
    async with smtp() as came:
        with pytest.raises(UpstreamUnreachable, match="RONDO_CA_FILE cannot be read"):
            await mailed(came, str(tmp_path / "none.pem"))
    assert came.commands == []


async def test_a_channel_of_mail_is_delivered_by_the_courier(catalog: Catalog, time: Time, ca_file: str) -> None:
    async with encrypted(True) as came:
        fill(catalog, {"alerts": {"channels": {"team": {"kind": "email", "to": ["a@example.com", "b@example.com"]}}}})
        secrets = {
            "RONDO_SMTP_URL": f"smtps://{USER}:{PASSWORD}@127.0.0.1:{came.port}",
            "RONDO_SMTP_FROM": "Rondo <r@example.com>",
        }
        id_ = put(catalog, "team")
        sender = courier(catalog, ca_file, **secrets)
        await sender.send_due()
        await sender.settled()
    assert f"Message-ID: <{id_}@rondo.alerts>" in came.mails[0]
    assert left(catalog) == []


@pytest.mark.parametrize(
    ("of", "words"),
    [
        ({"authority": trustme.CA()}, "unable to get local issuer certificate"),
        ({"not_after": LONG_AGO}, "certificate has expired"),
    ],
    ids=["unknown", "expired"],
)
async def test_a_webhook_whose_certificate_is_not_accepted_is_tried_again(
    catalog: Catalog, time: Time, ca_file: str, of: dict[str, Any], words: str
) -> None:
    sender = courier(catalog, ca_file)
    async with receiver(saying(OK), server_context("127.0.0.1", **of)) as (port, came):
        fill(catalog, hook(port))
        id_ = put(catalog, "ops")
        await sender.send_due()
        await sender.settled()
    assert came == []
    (waits,) = left(catalog)
    assert (waits.id, waits.status, waits.attempts) == (id_, "waiting", 1)
    assert f"127.0.0.1:{port} could not be reached: its TLS certificate was not accepted ({words})" in (
        waits.error or ""
    )
    assert "RONDO_CA_FILE" in (waits.error or "")
    async with receiver(saying(OK), server_context("127.0.0.1")) as (port, came):
        declare(catalog, hook(port))
        time.pass_s(10)
        await sender.send_due()
        await sender.settled()
    assert f"webhook-id: {id_}".encode() in came[0]
    assert left(catalog) == []


def hook(port: int) -> dict[str, Any]:
    return {"alerts": {"channels": {"ops": {"kind": "webhook", "url": f"https://127.0.0.1:{port}/hook"}}}}


def courier(catalog: Catalog, ca_file: str, **secrets: str) -> Courier:
    poster = Poster(Allowed("127.0.0.1"), proxies=Proxies(), ca_file=ca_file)
    return Courier(catalog, poster, Mailer(ca_file=ca_file), secret=secrets.get)


def put(catalog: Catalog, channel: str) -> str:
    content = notice.trial("p", "bot", channel, START)
    made = new_notice("p", "bot", channel, "test", content, clock.now_us(), alert=None)
    with catalog.begin() as connection:
        store.insert_notice(connection, made)
    return made.id


def left(catalog: Catalog) -> list[Notice]:
    """What waits, or could not be told."""
    with catalog.read() as connection:
        return store.heads(connection, ["p"]) or store.undelivered(connection, "p", 0)
