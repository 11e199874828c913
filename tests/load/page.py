"""Load a page as a browser does: the document, then its script over Streamlit's WebSocket, until it has ended."""

from __future__ import annotations

import httpx
from streamlit.proto.Alert_pb2 import Alert
from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from websockets.sync.client import connect

from frontend.settings import session_cookie

PATIENCE = 60.0
LOGIN = "/auth/password"
"""Address of the form that stands in place of a page if nobody is signed in."""


class BrokenPage(Exception):
    """A page that shows an exception or an error, or whose script failed."""


def load_page(url: str, token: str, name: str, query: str = "") -> None:
    """Load the page of this name at the pages' address, signed in with the token. Raises BrokenPage."""
    cookie = f"{session_cookie(url)}={token}"
    httpx.get(f"{url}/{name}", params=query, headers={"Cookie": cookie}, timeout=PATIENCE).raise_for_status()
    socket = f"ws{url.removeprefix('http')}/_stcore/stream"
    with connect(
        socket,
        origin=url,  # type: ignore[arg-type]
        additional_headers={"Cookie": cookie},
        subprotocols=["streamlit"],  # type: ignore[list-item]
        max_size=None,
        open_timeout=PATIENCE,
        proxy=None,
    ) as connection:
        message = BackMsg()
        message.rerun_script.query_string = query
        message.rerun_script.page_name = name
        message.rerun_script.context_info.url = f"{url}/{name}"
        connection.send(message.SerializeToString())
        while True:
            part = ForwardMsg()
            part.ParseFromString(connection.recv(timeout=PATIENCE))
            _check(part, name)
            if part.WhichOneof("type") == "script_finished":
                if part.script_finished == ForwardMsg.FINISHED_EARLY_FOR_RERUN:
                    continue
                if part.script_finished != ForwardMsg.FINISHED_SUCCESSFULLY:
                    raise BrokenPage(f"page {name}: its script ended with {part.script_finished}")
                return


def _check(part: ForwardMsg, name: str) -> None:
    if part.WhichOneof("type") == "page_not_found":
        raise BrokenPage(f"page {name} is not there")
    element = part.delta.new_element
    kind = element.WhichOneof("type")
    if kind == "exception":
        raise BrokenPage(f"page {name}: {element.exception.type}: {element.exception.message}")
    if kind == "html" and LOGIN in element.html.body:
        raise BrokenPage(f"page {name}: nobody is signed in")
    if kind == "alert" and element.alert.format == Alert.ERROR:
        raise BrokenPage(f"page {name}: {element.alert.body}")
