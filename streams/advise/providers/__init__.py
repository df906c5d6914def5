"""The models that may be asked for an opinion, all by one interface, and the choice among them."""

from __future__ import annotations

from streams.advise.providers.anthropic import Anthropic
from streams.advise.providers.base import Provider
from streams.advise.providers.command import Command
from streams.advise.providers.keys import KeyFile
from streams.advise.providers.openai import OpenAI
from streams.advise.providers.recorded import Recorded
from streams.core.errors import InputError
from streams.settings import Settings


def provider_of(settings: Settings) -> Provider | None:
    """Return the provider that the settings name, None for rules. Raises ``InputError`` saying which is missing."""
    match settings.advise_provider:
        case "rules":
            return None
        case "command":
            return Command(_needed(settings.advise_command, "LOGMEND_ADVISE_COMMAND"), settings.advise_model)
        case "recorded":
            if settings.advise_answers is None:
                raise InputError("recorded answers are in a file: set LOGMEND_ADVISE_ANSWERS")
            return Recorded(settings.advise_answers)
        case "anthropic":
            return Anthropic(_model(settings), settings.advise_url, _key(settings))
        case "openai":
            return OpenAI(_model(settings), settings.advise_url, _key(settings))


def _model(settings: Settings) -> str:
    return _needed(settings.advise_model, "LOGMEND_ADVISE_MODEL")


def _needed(value: str, variable: str) -> str:
    if not value:
        raise InputError(f"this provider needs {variable}")
    return value


def _key(settings: Settings) -> KeyFile | None:
    """Return the key's file, once it has been read; only an address of one's own may need none."""
    if settings.advise_key_file is None:
        if not settings.advise_url:
            raise InputError("this provider wants a key: set LOGMEND_ADVISE_KEY_FILE")
        return None
    key = KeyFile(settings.advise_key_file)
    key.read()
    return key
