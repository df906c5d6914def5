"""What the guides show and the tests don't run is checked by the programs that it is for, or by their schemas."""

from __future__ import annotations

import copy
import itertools
import os
import re
import shlex
import shutil
import subprocess
from pathlib import Path
from typing import Any

import click
import pytest
import yaml

from analytics import views
from streams.cli import ENTRIES, main
from streams.documents.topics import acls
from streams.settings import PREFIX, Settings
from streams.topics import Topics
from tests.docs.guide import ROOT, Block, blocks
from tests.docs.others import faults, schema

PAGES = sorted(path.stem for path in (ROOT / "docs").glob("*.md"))
GENERATED = {"settings", "topics", "data-dictionary"}
RUN = {"run", "start"}
ELSEWHERE = {"make", "elsewhere", "docker", "systemd", "kubernetes"}
MANIFEST = ROOT / "deploy" / "kubernetes" / "logmend.yaml"
UNITS = ROOT / "deploy" / "systemd"
LINK = re.compile(r"\]\((?!https?://)([^)#]*)(#[^)]*)?\)")


def shown() -> list[Block]:
    """Return the blocks of the guides that people wrote."""
    return [block for page in PAGES if page not in GENERATED for block in blocks(page)]


def lines_of(*kinds: str) -> list[str]:
    """Return the commands in blocks of these kinds, one a line."""
    found = [block.text for block in shown() if block.language == "sh" and set(kinds) & set(block.words)]
    return [line for text in found for line in re.sub(r"\\\n\s*", "", text).splitlines() if line.strip()]


def parses(words: list[str]) -> None:
    """Raise unless ``logmend`` has that command with those options and as many arguments."""
    command: click.Command | None = main
    context = click.Context(main)
    while isinstance(command, click.Group):
        command = command.get_command(context, words.pop(0)) if words else None
    assert command is not None
    loose = copy.copy(command)
    loose.params = [copy.copy(parameter) for parameter in command.params]
    for parameter in loose.params:
        parameter.type = click.STRING
    loose.make_context("logmend", words)


def test_every_block_is_of_a_known_kind() -> None:
    """No block of a guide is neither run nor checked."""
    for block in shown():
        known = {
            "sh": bool((RUN | ELSEWHERE) & set(block.words)),
            "toml": bool(block.given("file")),
            "ini": bool({"environment", "unit"} & set(block.words)),
        }
        assert known.get(block.language), f"{block.guide}.md:{block.line}"


@pytest.mark.parametrize("line", lines_of("elsewhere"))
def test_commands_for_other_hosts_exist(line: str) -> None:
    """Settings before a command, the command, its options and its arguments are there."""
    words = shlex.split(line)
    while "=" in words[0]:
        name = words.pop(0).partition("=")[0]
        assert name.removeprefix(PREFIX).lower() in Settings.model_fields
    assert words.pop(0) == "logmend"
    parses(words)


def test_make_targets_exist() -> None:
    """What is made is a target of the Makefile."""
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert {line.split()[1] for line in lines_of("make")} <= targets


def test_compose_commands_name_services_of_the_compose_file() -> None:
    """What is scaled is a service, and what is run in one is a command of ours."""
    services = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]
    for line in lines_of("docker"):
        words = shlex.split(line)
        assert words[:2] == ["docker", "compose"]
        if words[2] == "exec":
            assert words[3] in services
            assert words[4] == "logmend"
            parses(words[5:])
        else:
            assert words[2] == "up"
            scaled = [word.partition("=")[0] for word in words if "=" in word]
            assert set(scaled) <= set(services)


def test_the_files_and_units_that_are_installed_are_there() -> None:
    """Each file that is installed is in deploy/systemd; all units are; each unit that is enabled exists."""
    installed, enabled = set(), set()
    for line in lines_of("systemd"):
        words = [word for word in shlex.split(line) if not word.startswith("-")]
        if words[0] == "install":
            installed |= {word for word in words[1:-1] if not word.isdigit() and word != "logmend"}
        elif words[:2] == ["systemctl", "enable"]:
            enabled |= {re.sub(r"@\d+$", "@", word) for word in words[2:]}
    assert all((UNITS / name).is_file() for name in installed)
    assert {path.name for path in UNITS.glob("*.service")} <= installed
    assert all((UNITS / (name if "." in name else f"{name}.service")).is_file() for name in enabled)


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="needs systemd-analyze")
def test_drop_ins_are_understood_by_systemd(tmp_path: Path) -> None:
    """``systemd-analyze verify`` has nothing to say about a unit with each drop-in that is shown."""
    program = tmp_path / "logmend"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    text = (UNITS / "logmend-detect@.service").read_text().replace("/opt/logmend/bin/logmend", str(program))
    (tmp_path / "logmend-detect@.service").write_text(text)
    drop_ins = [block.text for block in shown() if "unit" in block.words]
    directory = tmp_path / "logmend-detect@.service.d"
    directory.mkdir()
    for number, drop_in in enumerate(drop_ins):
        (directory / f"{number}.conf").write_text(drop_in)
    command = ["systemd-analyze", "verify", "--man=no", "./logmend-detect@1.service"]
    environment = {**os.environ, "SYSTEMD_UNIT_PATH": f"{tmp_path}:"}
    done = subprocess.run(
        command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=60, check=False
    )
    assert drop_ins
    assert (done.returncode, done.stdout + done.stderr) == (0, "")


def test_every_setting_that_is_named_exists() -> None:
    """No guide speaks of a setting that there is not, also not where it is only mentioned."""
    texts = [path.read_text() for path in (*(ROOT / "docs").glob("*.md"), ROOT / "SECURITY.md", MANIFEST)]
    named = {name for text in texts for name in re.findall(rf"\b{PREFIX}[A-Z_]*[A-Z]\b(?!_?\*)", text)}
    assert {name.removeprefix(PREFIX).lower() for name in named} - {"config"} <= set(Settings.model_fields)
    assert len(named) > 40


def test_every_command_that_is_mentioned_exists() -> None:
    """Also what stands in the text between the blocks can be typed."""
    for page in (*(ROOT / "docs").glob("*.md"), ROOT / "SECURITY.md"):
        for name in re.findall(r"`logmend ([a-z]+)", page.read_text()):
            assert name in ENTRIES, f"{page.name}: logmend {name}"


@pytest.mark.parametrize("page", [*PAGES, "../SECURITY"])
def test_every_link_leads_somewhere(page: str) -> None:
    """Files are there, and headings in those of ours."""
    path = ROOT / "docs" / f"{page}.md"
    for name, anchor in LINK.findall(path.read_text()):
        target = (path.parent / name).resolve() if name else path.resolve()
        assert target.exists(), f"{page}: {name}"
        if anchor:
            headings = re.findall(r"^#+ (.+)$", target.read_text(), re.MULTILINE)
            known = {re.sub(r"[^a-z0-9 -]", "", heading.lower()).replace(" ", "-") for heading in headings}
            assert anchor[1:] in known, f"{page}: {name}{anchor}"


# ---------------------------------------------------------------------------------------------------------- Kubernetes


def manifest() -> list[dict[str, Any]]:
    """Return the objects of the example."""
    return list(yaml.safe_load_all(MANIFEST.read_text()))


def test_the_example_for_kubernetes_is_valid() -> None:
    """Each object is one of its kind by Kubernetes' own schema, without unknown fields."""
    known = schema("kubernetes-1.34")
    for one in manifest():
        assert list(faults(one, {**known["kinds"][one["kind"]], "$defs": known["$defs"]})) == [], one["kind"]


def test_an_invalid_object_would_be_found() -> None:
    """A field at the wrong depth is refused."""
    known = schema("kubernetes-1.34")
    (job,) = [one for one in manifest() if one["kind"] == "Job"]
    job["spec"]["containers"] = job["spec"]["template"]["spec"]["containers"]
    assert list(faults(job, {**known["kinds"]["Job"], "$defs": known["$defs"]}))


def test_what_runs_in_kubernetes_is_ours_and_without_privileges() -> None:
    """Containers run commands of ours as nobody, read-only; what they mount and select is there."""
    for one in manifest():
        if one["kind"] not in {"Job", "StatefulSet"}:
            continue
        pod = one["spec"]["template"]["spec"]
        claims = [claim["metadata"]["name"] for claim in one["spec"].get("volumeClaimTemplates", [])]
        volumes = {volume["name"] for volume in pod["volumes"]} | set(claims)
        assert pod["securityContext"]["runAsNonRoot"]
        assert not pod["automountServiceAccountToken"]
        for container in pod["containers"]:
            assert container["args"][0] in ENTRIES
            assert container["securityContext"]["readOnlyRootFilesystem"]
            assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}
            assert {mount["name"] for mount in container["volumeMounts"]} <= volumes
        if one["kind"] == "StatefulSet":
            labels = one["spec"]["template"]["metadata"]["labels"]
            assert one["spec"]["selector"]["matchLabels"].items() <= labels.items()
            assert labels["part-of"] == "logmend"


def test_who_reads_the_event_log_in_kubernetes_has_room_for_a_question() -> None:
    """A question may take a gigabyte beside the process itself: it is refused then, and the container not killed."""
    (one,) = (one for one in manifest() if one["metadata"]["name"] == "logmend-eventlog")
    assert views.MEMORY_MB == 1_000
    for container in one["spec"]["template"]["spec"]["containers"]:
        limit = container["resources"]["limits"]["memory"]
        assert limit.endswith("Gi"), limit
        assert float(limit.removesuffix("Gi")) >= 1.5


def test_kubectl_commands_name_what_the_example_has() -> None:
    """Objects that are spoken of are in the manifest, files in the repository, commands of ours exist."""
    named = {f"{one['kind'].lower()}/{one['metadata']['name']}" for one in manifest()}
    for line in lines_of("kubernetes"):
        words = shlex.split(line)
        assert words[0] == "kubectl"
        assert {word for word in words if word.startswith("statefulset/")} <= named
        if "--filename" in words:
            assert (ROOT / words[words.index("--filename") + 1]).is_file()
        if "--" in words:
            after = words[words.index("--") + 1 :]
            assert after.pop(0) == "logmend"
            parses(after)


# -------------------------------------------------------------------------------------------------------- access lists


def test_the_commands_for_access_lists_say_what_the_table_says() -> None:
    """Each ``kafka-acls.sh`` in the page adds rows of the table, and together they add all of it."""
    (block,) = [block for block in blocks("topics") if block.language == "sh"]
    said = set()
    for line in re.sub(r"\\\n\s*", "", block.text).splitlines():
        words = shlex.split(line)
        options = list(itertools.pairwise(words))
        (principal,) = [value for name, value in options if name == "--allow-principal"]
        (operation,) = [value for name, value in options if name == "--operation"]
        things = [(name[2:], value) for name, value in options if name in {"--topic", "--group"}]
        said |= {(principal.removeprefix("User:"), kind, name, operation) for kind, name in things}
    assert said == {tuple(acl) for acl in acls()}


def test_another_fleet_has_lists_of_its_own() -> None:
    """No list of one fleet lets a user touch the topics or groups of another, but for the lines they share."""
    names = {acl.name for acl in acls(Topics(fleet="other", logs=("a", "b")))}
    assert {name for name in names if not name.startswith("other")} == {"a", "b", "metrics"}
