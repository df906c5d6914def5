"""Answers from a file."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from streams.advise.providers.base import Answer, NoProviderError, Prompt
from streams.advise.providers.recorded import Recorded
from streams.core.errors import InputError

PROMPT = Prompt(system="You advise.", user="What is to be done?")


def _file(path: Path, *rows: dict[str, Any] | str) -> Path:
    path.write_text("".join(f"{row if isinstance(row, str) else json.dumps(row)}\n" for row in rows))
    return path


async def test_an_answer_is_found_by_the_hash_of_the_prompt(tmp_path: Path) -> None:
    """The hash is of both texts with a zero byte between them."""
    digest = hashlib.sha256(b"You advise.\0What is to be done?").hexdigest()
    row = {"prompt_sha256": digest, "text": "{}", "model": "m", "tokens_in": 3, "tokens_out": 1}
    answer = await Recorded(_file(tmp_path / "a.jsonl", row)).ask(PROMPT, 1.0)
    assert answer == Answer(text="{}", model="m", tokens_in=3, tokens_out=1)


async def test_a_prompt_without_an_answer_is_told_by_its_hash(tmp_path: Path) -> None:
    """A person can put the missing answer into the file."""
    with pytest.raises(NoProviderError, match=PROMPT.sha256):
        await Recorded(_file(tmp_path / "a.jsonl")).ask(PROMPT, 1.0)


def test_the_border_between_the_texts_is_part_of_the_hash() -> None:
    """Two prompts that differ in it only are two."""
    assert Prompt(system="a", user="bc").sha256 != Prompt(system="ab", user="c").sha256


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        (["{}"], "line 1: not a recorded answer"),
        (["not JSON"], "line 1: not a recorded answer"),
        ([""], "line 1: not a recorded answer"),
        ([{"prompt_sha256": PROMPT.sha256, "text": "a", "color": "red"}], "line 1: not a recorded answer"),
        ([{"prompt_sha256": "abc", "text": "a"}], "line 1: not a recorded answer"),
        ([{"prompt_sha256": PROMPT.sha256, "text": "a"}] * 2, "line 2: this prompt is answered twice"),
    ],
)
def test_a_wrong_line_is_named(tmp_path: Path, rows: list[Any], said: str) -> None:
    """Its number and what is wrong, before anything is asked."""
    with pytest.raises(InputError, match=said):
        Recorded(_file(tmp_path / "a.jsonl", *rows))


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    """It is said which."""
    with pytest.raises(InputError, match=r"none\.jsonl: can't be read"):
        Recorded(tmp_path / "none.jsonl")


def test_a_file_beyond_measure_is_not_read(tmp_path: Path) -> None:
    """A log that was given by mistake doesn't fill the memory."""
    path = tmp_path / "large"
    with path.open("wb") as file:
        file.truncate(17 * 1024 * 1024)
    with pytest.raises(InputError, match="larger than"):
        Recorded(path)
