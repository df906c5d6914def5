"""The pool through HTTP: state, healing, tasks (SEED_TABLES, section 3)."""

from __future__ import annotations

from typing import Annotated, Final

from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import Response
from msgspec import Struct
from pydantic import BaseModel, ConfigDict, Field

from streams.web import doing
from streams.web.answers import answered, answers
from streams.web.auth import ANYONE, Person, needs
from streams.web.doing import Healed
from streams.web.model import Model
from streams.web.problems import WebError
from streams.web.states import Healing, Host, HostProbe, Task, Worker

WAIT_S_MAX: Final = 60.0
TASKS_AT_ONCE_MAX: Final = 500
router = APIRouter(tags=["cluster"])
Viewer = Annotated[Person, Depends(needs("viewer"))]
Operator = Annotated[Person, Depends(needs("operator"))]


class Health(Struct, frozen=True, kw_only=True):
    """`status`: healthy, degraded (a worker or a host agent does not answer), unhealthy (no log, or no decisions)."""

    status: str
    cluster_initialized: bool
    infrastructure_agent: bool


class LiveWorker(Struct, frozen=True, kw_only=True):
    """A worker; `status` is healthy, silent (over 30 s) or hung (over 60 s), times are in seconds."""

    id: str
    role: str
    host: str
    pid: int
    status: str
    state: str
    specialist: bool
    tasks: int
    errors: int
    uptime_seconds: float
    heartbeat_age_seconds: float


class HostState(Struct, frozen=True, kw_only=True):
    """A host in percent, null: not known. `agent`: active, silent, or none."""

    name: str
    agent: str
    cpu: float | None
    memory: float | None
    disk: float | None
    read_ms: int
    probes: tuple[HostProbe, ...]


class Workers(Struct, frozen=True, kw_only=True):
    """How many workers there are."""

    total: int
    healthy: int
    unhealthy: int


class Percent(Struct, frozen=True, kw_only=True):
    """The fullest of all hosts, in percent; null: not known."""

    cpu: float | None
    memory: float | None
    disk: float | None


class Status(Struct, frozen=True, kw_only=True):
    """The whole cluster now. `healing_history` has the newest actions first."""

    workers: Workers
    host: Percent
    hosts: tuple[HostState, ...]
    agents: tuple[LiveWorker, ...]
    infrastructure_agent: str
    healing_history: tuple[Healing, ...]
    halted: bool
    halted_by: str
    up_to_date: bool
    now_ms: int


class Live(Struct, frozen=True, kw_only=True):
    """The workers now."""

    agents: tuple[LiveWorker, ...]
    count: int
    now_ms: int


class Submitted(Struct, frozen=True, kw_only=True):
    """A task that is recorded."""

    task_id: str
    agent_type: str
    status: str


class ManySubmitted(Struct, frozen=True, kw_only=True):
    """Tasks that are recorded, in the order of the request."""

    tasks: tuple[Submitted, ...]
    count: int


class TaskAnswer(Struct, frozen=True, kw_only=True):
    """What the worker answered."""

    agent_type: str
    result: str


class TaskState(Struct, frozen=True, kw_only=True):
    """A task; `status`: submitted, given, completed, failed, refused. `result` is null until it has ended."""

    task_id: str
    agent_type: str
    status: str
    result: TaskAnswer | None
    action: str
    service: str
    host: str
    worker_id: str
    submitted_ms: int
    ended_ms: int


class NewTask(BaseModel):
    """A task; without an `action` it only proves that a worker answers."""

    model_config = ConfigDict(extra="forbid", str_strip_whitespace=True)
    agent_type: str = Field(default="", description="architect, coder, executor, critic or deployer")
    description: str = Field(default="", max_length=doing.DESCRIPTION_CHARACTERS_MAX)
    action: str = Field(default="", max_length=100, description="an action of the catalogue, with `service`")
    service: str = Field(default="", max_length=doing.NAME_CHARACTERS_MAX)
    by: str = Field(default="", max_length=64, description="your name, in local mode")


class NewTasks(BaseModel):
    """Several tasks at once."""

    model_config = ConfigDict(extra="forbid")
    tasks: list[NewTask] = Field(min_length=1, max_length=TASKS_AT_ONCE_MAX)


class Said(BaseModel):
    """Why, and in local mode who."""

    model_config = ConfigDict(extra="forbid", str_strip_whitespace=True)
    reason: str = Field(default="", max_length=doing.REASON_CHARACTERS_MAX)
    by: str = Field(default="", max_length=64, description="your name, in local mode")


@router.get("/health", **answers(Health, 503))
async def health(request: Request, _: Annotated[Person, Depends(needs(ANYONE))]) -> Response:
    """Say whether the web follows the log, facts are decided on, workers are there, and a host agent reports.

    503 while the web does not follow, or while a line of the canary has not become a decision within a minute.
    """
    model: Model = request.app.state.deps.model
    workers, hosts = model.workers(), model.hosts()
    agent = any(one.status == "active" for one in hosts)
    fine = bool(workers) and agent and all(one.healthy for one in workers if not one.specialist)
    works = model.up_to_date and model.decides
    status = "unhealthy" if not works else "healthy" if fine else "degraded"
    answer = Health(status=status, cluster_initialized=bool(workers), infrastructure_agent=agent)
    return answered(answer, 200 if works else 503)


@router.get("/api/cluster/status", **answers(Status))
async def status(request: Request, _: Viewer) -> Response:
    """Return workers, hosts, the host agents' state and the last actions."""
    model: Model = request.app.state.deps.model
    workers, hosts = model.workers(), model.hosts()
    healthy = sum(one.healthy for one in workers)
    found = Status(
        workers=Workers(total=len(workers), healthy=healthy, unhealthy=len(workers) - healthy),
        host=Percent(
            cpu=_worst([one.cpu for one in hosts]),
            memory=_worst([one.memory for one in hosts]),
            disk=_worst([one.disk for one in hosts]),
        ),
        hosts=tuple(_host(one) for one in hosts),
        agents=tuple(_live(one) for one in workers),
        infrastructure_agent=_agent(hosts),
        healing_history=tuple(model.healings()[:100]),
        halted=model.halt is not None,
        halted_by=model.halt.author if model.halt else "",
        up_to_date=model.up_to_date,
        now_ms=model.now_ms,
    )
    return answered(found)


@router.get("/api/cluster/agents/live", **answers(Live))
async def live(request: Request, _: Viewer) -> Response:
    """Return every worker that gave a sign of life lately."""
    model: Model = request.app.state.deps.model
    found = tuple(_live(one) for one in model.workers())
    return answered(Live(agents=found, count=len(found), now_ms=model.now_ms))


@router.post("/api/cluster/heal", **answers(Healed, 409, 422))
async def heal(request: Request, person: Operator, said: Said | None = None) -> Response:
    """Have the pools replace their dead and hung workers now; returns when all have answered, after 20 s at most."""
    said = said or Said()
    return answered(await doing.heal(request.app.state.deps, person, by=said.by, reason=said.reason))


@router.post("/api/cluster/task/submit", **answers(Submitted, 422, 503))
async def submit(
    request: Request,
    person: Operator,
    task: NewTask | None = None,
    agent_type: Annotated[str, Query(max_length=64)] = "",
    description: Annotated[str, Query(max_length=doing.DESCRIPTION_CHARACTERS_MAX)] = "",
) -> Response:
    """Give the pool a task, by query or JSON body; it is recorded when this returns."""
    given = task or NewTask()
    wanted = doing.Wanted(
        role=given.agent_type or agent_type,
        description=given.description or description,
        action=given.action,
        service=given.service,
        by=given.by,
    )
    (made,) = await doing.submit_all(request.app.state.deps, person, [wanted])
    return answered(Submitted(task_id=made.id, agent_type=made.role, status="submitted"))


@router.post("/api/cluster/tasks/submit", **answers(ManySubmitted, 422, 503))
async def submit_many(request: Request, person: Operator, given: NewTasks) -> Response:
    """Give the pool up to 500 tasks in one request; they are recorded when this returns."""
    wanted = [doing.Wanted(**one.model_dump(exclude={"agent_type"}), role=one.agent_type) for one in given.tasks]
    made = await doing.submit_all(request.app.state.deps, person, wanted)
    found = tuple(Submitted(task_id=one.id, agent_type=one.role, status="submitted") for one in made)
    return answered(ManySubmitted(tasks=found, count=len(found)))


@router.get("/api/cluster/task/{task_id}", **answers(TaskState, 404, 422))
async def task(
    request: Request,
    _: Viewer,
    task_id: str,
    wait_seconds: Annotated[float, Query(ge=0, le=WAIT_S_MAX, allow_inf_nan=False)] = 0.0,
) -> Response:
    """Return a task, once it has ended or after `wait_seconds`; results are kept for five minutes."""
    found = await request.app.state.deps.model.asked.result(task_id, wait_seconds)
    if found is None:
        raise WebError(404, "no such task is known: results are kept for five minutes, then see the view pool_tasks")
    return answered(_task(found))


def _task(one: Task) -> TaskState:
    return TaskState(
        task_id=one.id,
        agent_type=one.role,
        status=one.status,
        result=TaskAnswer(agent_type=one.role, result=one.reason) if one.ended_ms else None,
        action=one.action,
        service=one.service,
        host=one.host,
        worker_id=one.worker,
        submitted_ms=one.submitted_ms,
        ended_ms=one.ended_ms,
    )


def _live(one: Worker) -> LiveWorker:
    return LiveWorker(
        id=one.id,
        role=one.role,
        host=one.host,
        pid=one.pid,
        status=one.status,
        state=one.state,
        specialist=one.specialist,
        tasks=one.tasks,
        errors=one.errors,
        uptime_seconds=one.uptime_ms / 1000,
        heartbeat_age_seconds=one.age_ms / 1000,
    )


def _host(one: Host) -> HostState:
    return HostState(
        name=one.name,
        agent=one.status,
        cpu=one.cpu,
        memory=one.memory,
        disk=one.disk,
        read_ms=one.at_ms,
        probes=one.probes,
    )


def _worst(values: list[float | None]) -> float | None:
    return max((value for value in values if value is not None), default=None)


def _agent(hosts: list[Host]) -> str:
    """Return how the host agents are, all together: the worst of them."""
    statuses = {one.status for one in hosts} or {"none"}
    return next(status for status in ("silent", "none", "active") if status in statuses)
