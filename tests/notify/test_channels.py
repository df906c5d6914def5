"""What the settings name is told; what is wrong with them is one line, before anything is sent."""

from __future__ import annotations

import base64
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from streams.cli import doctor
from streams.core.errors import InputError
from streams.notify.channels import channels_of, described, is_configured
from streams.settings import PREFIX, Settings

HOOK = "https://hooks.example.org/in"


@pytest.fixture
def files(tmp_path: Path) -> dict[str, Path]:
    """Return files with a secret, a password and a token."""
    texts = {"secret": f"whsec_{base64.b64encode(b's' * 32).decode()}", "password": "pw", "token": "t", "empty": ""}
    for name, text in texts.items():
        (tmp_path / name).write_text(text)
    return {name: tmp_path / name for name in texts}


def load(tmp_path: Path, **given: Any) -> Settings:
    """Return settings in a directory of their own."""
    return Settings(data_dir=tmp_path / "data", **given)


def test_nobody_is_told_by_default(tmp_path: Path) -> None:
    """E-mail is off while no recipient is set, as are webhooks and GitHub."""
    settings = load(tmp_path)
    assert (is_configured(settings), channels_of(settings), described(settings)) == (False, [], "nobody")


def test_each_receiver_is_a_channel(tmp_path: Path, files: dict[str, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    """Recipients, addresses and the repository; the journal's names hold no address of a webhook."""
    variables = {
        "MAIL_TO": "eva@example.org, max@example.org",
        "WEBHOOKS": f"{HOOK},https://b.example/x?token=1",
        "WEBHOOK_SECRET_FILE": files["secret"],
        "GITHUB_REPO": "acme/shop",
        "GITHUB_TOKEN_FILE": files["token"],
        "DATA_DIR": tmp_path / "data",
    }
    for name, value in variables.items():
        monkeypatch.setenv(PREFIX + name, str(value))
    settings = Settings.load()
    names = [one.name for one in channels_of(settings)]
    assert names[:2] == ["mail:eva@example.org", "mail:max@example.org"]
    assert names[4:] == ["github:acme/shop"]
    assert len(set(names)) == 5
    assert "example" not in "".join(names[2:4])
    assert described(settings) == "2 recipient(s) of mail, 2 webhook(s), 1 GitHub repository"
    for name, value in settings.environment().items():
        monkeypatch.setenv(name, value)
    assert Settings.load() == settings


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"webhooks": (HOOK,)}, "WEBHOOK_SECRET_FILE"),
        ({"webhooks": (HOOK,), "webhook_secret_file": "empty"}, "wanted whsec_"),
        ({"webhooks": ("http://h/x",), "webhook_secret_file": "secret"}, "https only"),
        ({"github_repo": "a/b"}, "GITHUB_TOKEN_FILE"),
        ({"github_repo": "a/b", "github_token_file": "empty"}, "holds no token"),
        ({"github_repo": "a/b", "github_token_file": "token", "github_url": "http://x.example"}, "unencrypted"),
        ({"mail_to": ("a@b",), "smtp_user": "me"}, "belong together"),
        ({"mail_to": ("a@b",), "smtp_user": "me", "smtp_password_file": "empty"}, "wanted a password"),
        (
            {"mail_to": ("a@b",), "smtp_user": "m", "smtp_password_file": "password", "smtp_url": "smtp://x.example"},
            "unencrypted",
        ),
    ],
)
def test_what_is_wrong_is_said(tmp_path: Path, files: dict[str, Path], given: dict[str, Any], says: str) -> None:
    """In one line, by doctor too."""
    settings = load(
        tmp_path,
        **{name: files.get(value, value) if isinstance(value, str) else value for name, value in given.items()},
    )
    with pytest.raises(InputError, match=says) as caught:
        channels_of(settings)
    assert "\n" not in str(caught.value)
    (finding,) = doctor.notices(settings)
    assert (finding.state, finding.text) == (doctor.BAD, str(caught.value))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("MAIL_TO", "eva@example.org\r\nBcc: all@example.org"),
        ("MAIL_TO", "Eva <eva@example.org>"),
        ("MAIL_FROM", "a@b, c@d"),
        ("SMTP_URL", "http://localhost"),
        ("SMTP_URL", "smtp://me:pw@localhost"),
        ("WEBHOOKS", "ftp://a.example/"),
        ("WEBHOOKS", "https://user:pw@a.example/"),
        ("GITHUB_REPO", "acme/../x y"),
        ("WEB_URL", "javascript:alert(1)"),
        ("WEB_URL", 'https://x.example/"><script>'),
    ],
)
def test_a_setting_that_could_be_more_than_it_says_is_refused(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    """Addresses are plain ones; of a webhook, which may hold a secret, nothing is repeated."""
    monkeypatch.setenv(PREFIX + name, value)
    with pytest.raises(InputError) as caught:
        Settings.load()
    assert str(caught.value).startswith(PREFIX + name)
    assert name != "WEBHOOKS" or value not in str(caught.value)


def test_doctor_says_who_is_told(tmp_path: Path) -> None:
    """And how much waits; nothing is sent."""
    (nobody,) = doctor.notices(load(tmp_path))
    (one,) = doctor.notices(load(tmp_path, mail_to=("eva@example.org",)))
    assert (nobody.state, one.state) == (doctor.GOOD, doctor.GOOD)
    assert one.text == "1 recipient(s) of mail; 0 messages wait, 0 were given up within 30 days"


def test_a_process_with_nobody_to_tell_ends_in_one_line(tmp_path: Path) -> None:
    """It says what to set."""
    done = subprocess.run(
        [sys.executable, "-m", "streams.cli", "notify"],
        env={"PATH": "/usr/bin:/bin", "PYTHONPATH": ":".join(sys.path), "LOGMEND_DATA_DIR": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert "set LOGMEND_MAIL_TO" in done.stderr.splitlines()[-1]
    assert "Traceback" not in done.stderr
