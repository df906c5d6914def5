"""Every setting there is: environment ``LOGMEND_*`` over ``logmend.toml`` over the defaults here.

Importing this costs 0.2 s (pydantic): import it where a command runs, not where it is declared.
"""

from __future__ import annotations

import os
import platform
import tomllib
from pathlib import Path
from typing import Annotated, Any, Final, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Field, ValidationError
from pydantic_settings import (
    BaseSettings,
    NoDecode,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)

from streams import explaining
from streams.core.errors import InputError
from streams.explaining import FILE_DEFAULT, FILE_VARIABLE, PREFIX, settings_file
from streams.topics import Topics

__all__ = ["FILE_DEFAULT", "FILE_VARIABLE", "PREFIX", "Settings"]

EMBEDDED_SOURCE_PARTITIONS: Final = 4
SOURCE_PARTITIONS: Final = 8
TOPIC_NAME: Final = r"^[a-zA-Z0-9][a-zA-Z0-9._-]{0,199}$"
MAIL_ADDRESS: Final = r"^[A-Za-z0-9!#$%&'*+/=?^_`{|}~.-]{1,64}@[A-Za-z0-9]([A-Za-z0-9.-]{0,251}[A-Za-z0-9])?$"
WEBHOOK: Final = r"^https?://(\[[0-9a-fA-F:.]+\]|[A-Za-z0-9._-]+)(:\d{1,5})?(/[^\s,#?]*)?(\?[^\s,#]*)?$"


def _data_home() -> Path:
    home = os.environ.get("XDG_DATA_HOME")
    return (Path(home) if home else Path.home() / ".local" / "share") / "logmend"


def _names(value: object) -> object:
    if isinstance(value, str):
        return tuple(name.strip() for name in value.split(",") if name.strip())
    return value


def _partitions(known: dict[str, Any]) -> int:
    return SOURCE_PARTITIONS if known.get("brokers") else EMBEDDED_SOURCE_PARTITIONS


def _absolute(path: Path) -> Path:
    try:
        return path.expanduser().absolute()
    except RuntimeError as error:  # ~name, and nobody of that name is known
        raise ValueError(str(error)) from error


AbsolutePath = Annotated[Path, AfterValidator(_absolute)]
TopicName = Annotated[str, Field(pattern=TOPIC_NAME)]
MailAddress = Annotated[str, Field(pattern=MAIL_ADDRESS)]
MailAddresses = Annotated[tuple[MailAddress, ...], NoDecode, BeforeValidator(_names)]
TopicNames = Annotated[tuple[TopicName, ...], NoDecode, BeforeValidator(_names), Field(min_length=1, max_length=64)]


class Settings(BaseSettings):
    """What one process of Logmend needs to be told. A field's description says what is allowed."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX, env_ignore_empty=True, extra="forbid", frozen=True, validate_default=True
    )

    brokers: str = Field(
        default="",
        pattern=r"^$|^[^\s,:]+:\d{1,5}(,[^\s,:]+:\d{1,5})*$",
        description="Kafka's addresses, host:port[,host:port...]; empty runs the embedded broker",
    )
    kafka_tls: bool = Field(default=False, description="true: brokers are spoken to by TLS")
    kafka_ca_file: AbsolutePath | None = Field(
        default=None, description="a file with the certificates that sign the brokers', PEM; empty is the system's"
    )
    kafka_certificate_file: AbsolutePath | None = Field(
        default=None, description="a file with a certificate of our own that brokers ask for, PEM"
    )
    kafka_key_file: AbsolutePath | None = Field(
        default=None, description="a file with its key, PEM; empty when it is in the same file"
    )
    kafka_user: str = Field(
        default="", pattern=r"^[!-~]{0,256}$", description="as whom brokers are spoken to (SASL); empty as nobody"
    )
    kafka_password_file: AbsolutePath | None = Field(
        default=None, description="a file with that user's password, one line"
    )
    kafka_mechanism: Literal["SCRAM-SHA-512", "SCRAM-SHA-256", "PLAIN"] = Field(
        default="SCRAM-SHA-512",
        description="how the password is proved: SCRAM-SHA-512, SCRAM-SHA-256, or PLAIN (by TLS only)",
    )
    data_dir: AbsolutePath = Field(
        default_factory=_data_home, description="the directory that everything local is kept in"
    )
    fleet: str = Field(
        default="logmend",
        pattern=r"^[a-z0-9][a-z0-9.-]{0,63}$",
        description="prefix of our topics: 1 to 64 of a-z 0-9 . -, beginning with a letter or digit",
    )
    logs: TopicNames = Field(default=("logs",), description="topics with log lines, by comma: letters, digits, . _ -")
    metrics: TopicNames = Field(
        default=("metrics",), description="topics with metrics, by comma: letters, digits, . _ -"
    )
    host: str = Field(
        default_factory=platform.node,
        pattern=r"^[^\s/]{1,253}$",
        description="this host's name, as the inventory calls it: 1 to 253 characters, no space, no /",
    )
    source_partitions: int = Field(
        default_factory=_partitions, ge=1, le=1024, description="partitions of a new source topic, 1 to 1024"
    )
    session_timeout_ms: int = Field(
        default=6_000, ge=500, le=60_000, description="a silent process loses its partitions after this, 500 to 60000"
    )
    poll_records: int = Field(default=16_000, ge=1, le=100_000, description="records of one fetch at most, 1 to 100000")
    shed_lag_seconds: int = Field(
        default=60,
        ge=0,
        le=86_400,
        description="while detect is behind by more and falls further back, it sheds what is not critical, to 86400; "
        "0 never does",
    )
    metrics_port: int = Field(
        default=0,
        ge=0,
        le=65_000,
        description="first port of Prometheus metrics, one a process; 0 is off, else to 65000",
    )
    metrics_address: str = Field(
        default="127.0.0.1",
        pattern=r"^[0-9a-fA-F.:]{2,45}$",
        description="address that metrics are served on: an IP address, 0.0.0.0 for all",
    )
    workers_per_role: int = Field(default=1, ge=1, le=64, description="processes of the pool for each role, 1 to 64")
    broker_port: int = Field(
        default=0, ge=0, le=65_535, description="port of the embedded broker; 0 chooses (9092 if free), else to 65535"
    )
    schema_registry: str = Field(
        default="",
        repr=False,
        pattern=r"^$|^https?://([^\s/@?#]+@)?(\[[0-9a-fA-F:.]+\]|[^\s/@:?#\[\]]+)(:\d{1,5})?(/[^\s?#]*)?$",
        description="the schema registry of Confluent's producers, http[s]://[user:password@]host[:port][/path]; "
        "empty is none",
    )
    redaction_key: str = Field(
        default="",
        repr=False,
        pattern=r"^$|^[!-~]{16,256}$",
        description="key of the tags that stand for secrets, 16 to 256 ASCII characters without a space, the same on "
        "all hosts of a fleet; empty makes one in the data directory",
    )
    evidence_days: int = Field(
        default=30, ge=1, le=3650, description="days that the text of detected lines is kept, 1 to 3650"
    )
    disk_budget_gb: float = Field(
        default=0.0,
        ge=0,
        le=1_000_000,
        description="gigabytes that the data directory may take, to 1000000: above it the oldest text of lines goes, "
        "decisions never; 0 is no limit",
    )
    dry_run: bool = Field(default=True, description="true: actions are only logged; false: they are taken")
    tool_path: str = Field(
        default="",
        pattern=r"^$|^/[^:]*(:/[^:]*)*$",
        description="directories with systemctl, docker or kubectl, by colon, looked into before those of the system",
    )
    host_every_ms: int = Field(
        default=30_000, ge=100, le=600_000, description="how often logmend host looks, 100 to 600000"
    )
    canary_seconds: int = Field(
        default=3_600,
        ge=0,
        le=7_200,  # the alert LogmendCanarySilent waits for a little longer
        description="how often logmend host sends a line that must become a decision, to 7200; 0 sends none",
    )
    host_cpu_percent_max: float = Field(
        default=90.0, ge=0, le=100, description="above this the host's processors are too busy, 0 to 100"
    )
    host_memory_percent_max: float = Field(
        default=85.0, ge=0, le=100, description="above this the host's memory is too full, 0 to 100"
    )
    host_disk_percent_max: float = Field(
        default=90.0, ge=0, le=100, description="above this a file system of the host is too full, 0 to 100"
    )
    web_host: str = Field(
        default="127.0.0.1",
        pattern=r"^[0-9a-fA-F.:]{2,45}$",
        description="address of the web: an IP address, 0.0.0.0 for all; any but loopback needs tokens",
    )
    web_port: int = Field(
        default=0, ge=0, le=65_535, description="port of the web; 0 chooses (8000 if free), else to 65535"
    )
    web_names: Annotated[
        tuple[Annotated[str, Field(pattern=r"^[A-Za-z0-9]([A-Za-z0-9.-]{0,251}[A-Za-z0-9])?$")], ...],
        NoDecode,
        BeforeValidator(_names),
        Field(max_length=64),
    ] = Field(default=(), description="names under which browsers reach the web, by comma, such as logmend.example.org")
    web_origins: Annotated[
        tuple[Annotated[str, Field(pattern=r"^https?://[^\s/,*]{1,253}$")], ...],
        NoDecode,
        BeforeValidator(_names),
        Field(max_length=64),
    ] = Field(
        default=(), description="other sites whose pages may call the API, by comma, such as https://a.example.org"
    )
    advise_provider: Literal["rules", "command", "anthropic", "openai", "recorded"] = Field(
        default="rules",
        description="who gives opinions: rules (no model), command, anthropic, openai (or what speaks as it does), "
        "recorded",
    )
    advise_host: str = Field(
        default="127.0.0.1",
        pattern=r"^[0-9a-fA-F.:]{2,45}$",
        description="address that the decision service listens on: an IP address, 0.0.0.0 for all",
    )
    advise_port: int = Field(
        default=0, ge=0, le=65_535, description="port of the decision service; 0 chooses (8085 if free), else to 65535"
    )
    advise_research_confidence_min: float = Field(
        default=0.5,
        ge=0,
        le=1,
        description="so sure (0 to 1), what research finds out is the answer, and no model is asked; 1: never",
    )
    advise_model: str = Field(
        default="",
        pattern=r"^[A-Za-z0-9._:/@+-]{0,200}$",
        description="the model that is asked, as its provider calls it: at most 200 letters, digits, . _ : / @ + -",
    )
    advise_url: str = Field(
        default="",
        pattern=r"^$|^https?://(\[[0-9a-fA-F:.]+\]|[^\s/@:?#\[\]]+)(:\d{1,5})?(/[^\s?#]*)?$",
        description="address of the model's interface, http[s]://host[:port][/path]; empty is the provider's own",
    )
    advise_key_file: AbsolutePath | None = Field(default=None, description="a file with the model's key, one line")
    advise_command: str = Field(
        default="",
        max_length=4_096,
        description="the program that answers for command, with its arguments, quoted as for a shell; none runs it",
    )
    advise_answers: AbsolutePath | None = Field(
        default=None, description="a file with the answers of recorded, one JSON object a line"
    )
    advise_usd_in: float | None = Field(
        default=None,
        ge=0,
        le=10_000,
        description="dollars for a million tokens sent to the model, 0 for one of your own",
    )
    advise_usd_out: float | None = Field(
        default=None, ge=0, le=10_000, description="dollars for a million tokens that the model writes, 0 to 10000"
    )
    advise_budget_usd_hour: float = Field(
        default=1.0, ge=0, le=10_000, description="dollars that questions may cost within an hour, 0 to 10000"
    )
    advise_budget_calls_hour: int = Field(
        default=120, ge=0, le=10_000, description="questions within an hour, 0 to 10000"
    )
    web_url: str = Field(
        default="",
        pattern=r"^$|^https?://(\[[0-9a-fA-F:.]+\]|[A-Za-z0-9.-]+)(:\d{1,5})?(/[A-Za-z0-9._~/-]*)?$",
        description="where people find the web, http[s]://host[:port][/path], for links in what they are told; "
        "empty is no links",
    )
    mail_to: MailAddresses = Field(
        default=(), description="who is told by e-mail, by comma; empty is nobody", max_length=64
    )
    mail_from: MailAddress = Field(default="logmend@localhost", description="the sender of e-mail, name@host")
    smtp_url: str = Field(
        default="smtp://localhost:25",
        pattern=r"^(smtp|starttls|smtps)://(\[[0-9a-fA-F:.]+\]|[A-Za-z0-9.-]+)(:\d{1,5})?$",
        description="the mail server: smtp://host[:port] (unencrypted, 25), starttls:// (587) or smtps:// (465)",
    )
    smtp_user: str = Field(
        default="", pattern=r"^[!-~]{0,256}$", description="who logs in at the mail server; empty doesn't log in"
    )
    smtp_password_file: AbsolutePath | None = Field(
        default=None, description="a file with the mail server's password, one line"
    )
    webhooks: Annotated[
        tuple[Annotated[str, Field(pattern=WEBHOOK)], ...], NoDecode, BeforeValidator(_names), Field(max_length=16)
    ] = Field(
        default=(),
        repr=False,
        description="addresses that are told by POST, by comma, https://host[:port][/path][?query]; a comma in one as "
        "%2C",
    )
    webhook_secret_file: AbsolutePath | None = Field(
        default=None, description="a file with the secret that signs webhooks, whsec_<base64>"
    )
    webhook_private: bool = Field(
        default=False, description="true: webhooks may also lead to private networks and this host, and there be http"
    )
    github_repo: str = Field(
        default="",
        pattern=r"^$|^[A-Za-z0-9-]{1,39}/[A-Za-z0-9._-]{1,100}$",
        description="the repository that gets an issue for each escalation, owner/name; empty is none",
    )
    github_token_file: AbsolutePath | None = Field(
        default=None, description="a file with a token that may write issues there, one line"
    )
    github_url: str = Field(
        default="https://api.github.com",
        pattern=r"^https?://(\[[0-9a-fA-F:.]+\]|[A-Za-z0-9.-]+)(:\d{1,5})?(/[A-Za-z0-9._~/-]*)?$",
        description="GitHub's interface, https://host[:port][/path]",
    )
    notify_burst: int = Field(
        default=10,
        ge=1,
        le=1_000,
        description="messages that one receiver gets within a minute, 1 to 1000; what is more comes as a digest",
    )
    policy: AbsolutePath | None = Field(default=None, description="a policy file that is compared with the applied one")
    rules: AbsolutePath | None = Field(default=None, description="a rules file that is compared with the applied one")
    services: AbsolutePath | None = Field(
        default=None, description="an inventory file that is compared with the applied one"
    )

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - the library passes it by this name
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - the library passes it by this name
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Arguments first, then the environment, then the file."""
        return init_settings, env_settings, TomlConfigSettingsSource(settings_cls, toml_file=settings_file())

    @classmethod
    def load(cls, **given: Any) -> Self:
        """Read environment and file; what is ``given`` wins. Raises ``InputError`` in one line naming what is wrong."""
        settings, faults = cls.read(**given)
        if settings is None or faults:
            raise InputError(faults[0])
        return settings

    @classmethod
    def read(cls, **given: Any) -> tuple[Self | None, list[str]]:
        """Return the settings, None when there can be none, and everything that is wrong with them, a line each."""
        faults = list(explaining.mistyped(os.environ, cls.model_fields))
        settings = None
        try:
            settings = cls(**given)
        except ValidationError as error:
            lines = (explaining.explain(one, cls.model_fields, given) for one in error.errors(include_url=False))
            faults += list(lines)
        except tomllib.TOMLDecodeError as error:
            faults.append(f"{settings_file()}: not TOML: {error}")
        except OSError as error:
            faults.append(f"{settings_file()}: can't be read: {error.strerror}")
        except InputError as error:
            faults.append(str(error))
        else:
            faults += explaining.read_twice(settings.logs, settings.metrics)
        return settings, faults

    @property
    def topics(self) -> Topics:
        """The topics of this fleet."""
        return Topics(fleet=self.fleet, logs=self.logs, metrics=self.metrics)

    def environment(self) -> dict[str, str]:
        """Return the variables that give a child process exactly these settings."""
        return {
            PREFIX + name.upper(): ",".join(value) if isinstance(value, tuple) else str(value)
            for name in type(self).model_fields
            if (value := getattr(self, name)) is not None
        }
