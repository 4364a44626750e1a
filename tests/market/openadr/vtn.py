"""A VTN over real sockets: it holds programmes, events and reports, gives tokens, and can be rude."""

import asyncio
import socket
from typing import Any

import uvicorn
from fastapi import FastAPI, Request, Response
from fastapi.responses import JSONResponse


class Vtn:
    """``events`` and ``programmes`` are what it holds; ``rude`` is answered instead while it is set."""

    def __init__(self, *, secret: str = "") -> None:
        self.programmes: list[dict[str, Any]] = [{"id": "p1", "programName": "flex"}]
        self.events: list[dict[str, Any]] = []
        self.reports: list[dict[str, Any]] = []
        self.secret = secret
        self.tokens: set[str] = set()
        self.rude: Response | None = None
        self.calls: list[str] = []
        self._given = 0
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port: int = free.getsockname()[1]
        self._server = uvicorn.Server(
            uvicorn.Config(self._app(), host="127.0.0.1", port=self.port, log_level="error", lifespan="off")
        )
        self._task: asyncio.Task[None] | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/openadr3"

    async def start(self) -> None:
        self._task = asyncio.get_running_loop().create_task(self._server.serve())
        while not self._server.started:  # noqa: ASYNC110 - uvicorn has no event of its own
            await asyncio.sleep(0.002)

    async def stop(self) -> None:
        self._server.should_exit = True
        assert self._task is not None
        await self._task

    def put(self, event_id: str, **event: Any) -> None:
        """Hold an event, in the place of one with its id."""
        self.events = [each for each in self.events if each["id"] != event_id]
        self.events.append({"id": event_id, "programID": "p1", "objectType": "EVENT", **event})

    def _app(self) -> FastAPI:
        app = FastAPI()

        @app.middleware("http")
        async def judge(request: Request, go_on: Any) -> Response:
            path = request.url.path.removeprefix("/openadr3")
            self.calls.append(f"{request.method} {path}")
            if self.rude is not None:
                return self.rude
            if self.secret and not path.startswith("/auth"):
                token = request.headers.get("Authorization", "").removeprefix("Bearer ")
                if token not in self.tokens:
                    return Response(status_code=401)
            answer: Response = await go_on(request)
            return answer

        @app.get("/openadr3/auth/server")
        async def server() -> dict[str, str]:
            return {"tokenURL": f"{self.url}/auth/token"}

        @app.post("/openadr3/auth/token")
        async def token(request: Request) -> Response:
            form = dict(pair.split("=") for pair in (await request.body()).decode().split("&"))
            if form["client_secret"] != self.secret or form["grant_type"] != "client_credentials":
                return JSONResponse({"error": "invalid_client"}, 401)
            self._given += 1
            self.tokens = {f"token-{self._given}"}
            return JSONResponse({"access_token": f"token-{self._given}", "expires_in": 3_600})

        @app.get("/openadr3/programs")
        async def programs(skip: int = 0, limit: int = 50) -> list[dict[str, Any]]:
            return self.programmes[skip : skip + limit]

        @app.get("/openadr3/events")
        async def events(request: Request, skip: int = 0, limit: int = 50) -> list[dict[str, Any]]:
            wanted = set(request.query_params.getlist("targets"))
            found = [e for e in self.events if not wanted or wanted & set(e.get("targets") or wanted)]
            return found[skip : skip + limit]

        @app.post("/openadr3/reports", status_code=201)
        async def reports(body: dict[str, Any]) -> dict[str, Any]:
            self.reports.append(body)
            return body

        return app
