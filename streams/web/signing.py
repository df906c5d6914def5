"""Signing in with a browser, and out."""

from __future__ import annotations

from typing import Annotated, Final
from urllib.parse import parse_qsl

from fastapi import APIRouter, Depends, Request
from fastapi.responses import RedirectResponse, Response

from streams.web.auth import ANYONE, Gatekeeper, Person, needs
from streams.web.problems import WebError, problems
from streams.web.sessions import COOKIE, SESSION_S

FIELDS_MAX: Final = 64
SEE_OTHER: Final = 303
router = APIRouter(tags=["pages"])


async def form_of(request: Request) -> dict[str, str]:
    """Return the fields of a form that was sent as browsers do by default. Raises ``WebError`` for anything else."""
    try:
        body = (await request.body()).decode()
        return dict(parse_qsl(body, keep_blank_values=True, max_num_fields=FIELDS_MAX))
    except ValueError as error:
        raise WebError(422, "this is no form") from error


def back_to(path: str) -> str:
    """Return where to go after signing in: a page of ours, and nowhere else."""
    is_ours = path.startswith("/") and not path.startswith(("//", "/\\")) and path.isprintable()
    return path if is_ours else "/"


@router.post("/login", status_code=SEE_OTHER, response_class=RedirectResponse, responses=problems(401, 422, 429))
async def sign_in(request: Request, _: Annotated[Person, Depends(needs(ANYONE))]) -> Response:
    """Begin a session with a token: the form has `token` and, where to go then, `next`."""
    fields = await form_of(request)
    gate: Gatekeeper = request.app.state.deps.gate
    token = gate.checked(request, fields.get("token", "").strip())
    response = RedirectResponse(back_to(fields.get("next", "/")), SEE_OTHER)
    response.set_cookie(
        COOKIE,
        gate.sessions.begin(token.id),
        max_age=SESSION_S,
        httponly=True,
        samesite="strict",
        secure=request.headers.get("origin", "").startswith("https://"),
    )
    return response


@router.post("/logout", status_code=SEE_OTHER, response_class=RedirectResponse)
async def sign_out(request: Request, _: Annotated[Person, Depends(needs(ANYONE))]) -> Response:
    """End the session."""
    gate: Gatekeeper = request.app.state.deps.gate
    gate.sessions.end(request.cookies.get(COOKIE, ""))
    response = RedirectResponse("/login", SEE_OTHER)
    response.delete_cookie(COOKIE)
    return response
