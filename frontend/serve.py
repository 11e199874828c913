"""The pages' server: Streamlit as an ASGI app, with routes that sign in and out by an HttpOnly cookie, and downloads."""

from __future__ import annotations

import argparse
import os
import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from html import escape
from importlib import import_module
from pathlib import Path
from types import FrameType
from urllib.parse import urlsplit, urlunsplit
from uuid import UUID

import httpx
import uvicorn
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import FormData
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, RedirectResponse, Response, StreamingResponse
from starlette.routing import Route
from starlette.types import ASGIApp

from frontend.protection import LONGEST_FORM, SUBMIT, Protection
from frontend.settings import api_url, public_url, secure_cookies, session_cookie, trusted_proxies
from vise_client.addresses import client_address, trusted_networks
from vise_client.client import ViseClient
from vise_client.errors import ApiError, ClientError
from vise_client.schemas.accounts import Login, LoginCode
from vise_core.ending import end_in_time

FOLDER = Path(__file__).parent
LINK_PAGE = """<!doctype html>
<html lang="en">
<meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>Sign in · VisE Studio</title>
<style>
:root {{ color-scheme: light dark; font: 1rem system-ui, sans-serif; }}
body {{ display: grid; place-content: center; min-height: 80vh; text-align: center; }}
button {{ font: inherit; padding: .5rem 1.5rem; border: 0; border-radius: .5rem; color: #fff; background: #9b2c5a; }}
</style>
<p>This link signs this browser in to VisE Studio, once.</p>
<form action="/auth/login" method="post"><input type="hidden" name="code" value="{code}"><button>Sign in</button></form>
{script}
</html>
"""


async def link_page(request: Request) -> Response:
    """Show the page of a one-time link, whose form sends the code.

    To look at a link must not use it up, as scanners of mails do. The form submits itself only where no other site has
    led to it: a stranger's link must not sign a browser in as the stranger.
    """
    code = escape(request.query_params.get("code", "")[:200], quote=True)
    own = request.headers.get("sec-fetch-site") in ("none", "same-origin")
    script = f"<script>{SUBMIT}</script>" if own else ""
    return HTMLResponse(LINK_PAGE.format(code=code, script=script), headers={"Cache-Control": "no-store"})


async def login_with_code(request: Request) -> Response:
    """Sign in by the code of a one-time link."""
    code = str((await _form(request)).get("code", ""))[:200]
    return await _sign_in(request, lambda vise: vise.redeem_code(LoginCode(code=code)).token, "/")


async def login_with_password(request: Request) -> Response:
    """Sign in by the form of the login page."""
    form = await _form(request)
    email, password = str(form.get("email", ""))[:254], str(form.get("password", ""))[:1024]
    page = own_page(str(form.get("page", "/"))[:8000])
    return await _sign_in(request, lambda vise: vise.login(Login(email=email, password=password)).token, page)


async def logout(request: Request) -> Response:
    """End the session of the browser."""
    token = request.cookies.get(session_cookie())
    if token:

        def revoke() -> None:
            with ViseClient(api_url(), token) as vise:
                vise.logout()

        with suppress(ClientError):  # The cookie is deleted in any case.
            await run_in_threadpool(revoke)
    response = RedirectResponse("/", 303)
    response.delete_cookie(session_cookie(), httponly=True, samesite="lax", secure=secure_cookies())
    return response


def own_page(address: str) -> str:
    """Return path and query of an address that a form has sent; the first page unless it is an address of this site."""
    parts = urlsplit(address)
    inside = not parts.scheme and not parts.netloc and re.fullmatch(r"/[\w-]*", parts.path)
    return urlunsplit(("", "", parts.path, parts.query, "")) if inside else "/"


async def download_model(request: Request) -> Response:
    """Stream a model's files from the API to the browser, without holding them in memory."""
    try:
        model_id = UUID(request.path_params["model_id"])
    except ValueError:
        return PlainTextResponse("There is no such model.", 404)
    stack = ExitStack()

    def begin() -> httpx.Response:
        vise = stack.enter_context(ViseClient(api_url(), request.cookies.get(session_cookie(), "")))
        return stack.enter_context(vise.stream(ViseClient.download_model.request(model_id)))

    def chunks(response: httpx.Response) -> Iterator[bytes]:
        with stack:
            yield from response.iter_bytes(2**20)

    try:
        response = await run_in_threadpool(begin)
    except ClientError as error:
        stack.close()
        status = error.status if isinstance(error, ApiError) else 502
        return PlainTextResponse(str(error), status)
    headers = {"Content-Disposition": response.headers["content-disposition"]}
    return StreamingResponse(chunks(response), media_type="application/x-tar", headers=headers)


async def _form(request: Request) -> FormData:
    return await request.form(max_files=0, max_fields=10, max_part_size=LONGEST_FORM // 4)


async def has_session(request: Request) -> bool:
    """Return whether the API knows the session of the browser."""
    token = request.cookies.get(session_cookie())
    if not token:
        return False

    def check() -> None:
        with ViseClient(api_url(), token, patience=0) as vise:
            vise.me()

    try:
        await run_in_threadpool(check)
    except ClientError:
        return False
    return True


async def _sign_in(request: Request, request_token: Callable[[ViseClient], str], page: str) -> Response:
    """Set the cookie and show the page; with the parameter ``login`` where the sign-in failed."""
    peer = request.client.host if request.client else ""
    forwarded_for = request.headers.getlist("x-forwarded-for")
    # The API counts failed sign-ins by address, and would count everybody's as this server's.
    address = client_address(peer, forwarded_for, trusted_networks(trusted_proxies()))

    def failed(reason: str) -> Response:
        return RedirectResponse(f"{page}{'&' if '?' in page else '?'}login={reason}", 303)

    def token() -> str:
        with ViseClient(api_url(), forwarded_for=address) as vise:
            return request_token(vise)

    try:
        secret = await run_in_threadpool(token)
    except ApiError as error:
        return failed("wait" if error.status == 429 else "failed")
    except ClientError:
        return failed("unreachable")
    response = RedirectResponse(page, 303)
    response.set_cookie(
        session_cookie(), secret, max_age=14 * 86400, httponly=True, samesite="lax", secure=secure_cookies()
    )
    return response


def create_app() -> ASGIApp:
    """Return the ASGI app: Streamlit's app and our routes, behind the protection."""
    os.chdir(FOLDER)  # Streamlit reads .streamlit/config.toml in the working folder.
    # Plotly takes pandas from the loaded modules, also while the thread of another page still loads it: the first pages
    # after a start would fail.
    import_module("pandas")

    from streamlit.starlette import App

    from frontend.session import script_error

    app = App(
        FOLDER / "app.py",
        on_script_error=script_error,
        routes=[
            Route("/auth/login", link_page),
            Route("/auth/login", login_with_code, methods=["POST"]),
            Route("/auth/password", login_with_password, methods=["POST"]),
            Route("/auth/logout", logout, methods=["POST"]),
            Route("/download/models/{model_id}", download_model),
        ],
    )
    return Protection(app, public_url(), has_session)


class PageServer(uvicorn.Server):
    """Ends in time after a signal, also while a page waits for an API that does not respond."""

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        end_in_time()
        super().handle_exit(sig, frame)


def main() -> None:
    """Serve the pages until stopped."""
    parser = argparse.ArgumentParser(prog="python -m frontend.serve", description=__doc__)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8501)
    options = parser.parse_args()
    # Streamlit checks the origin of web sockets by it.
    os.environ.setdefault("STREAMLIT_SERVER_PORT", str(options.port))
    # Which proxies may name a browser's address is our own setting.
    config = uvicorn.Config(
        create_app(),
        host=options.host,
        port=options.port,
        log_level="warning",
        access_log=False,
        proxy_headers=False,
    )
    PageServer(config).run()


if __name__ == "__main__":
    main()
