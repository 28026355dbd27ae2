"""What the page shows beside the conversation: what AWS really holds, the audit trail, the clock.

GET  /sandbox/eks            every cluster with its access entries, read from the stand-in itself
GET  /sandbox/audit?limit=N  the newest audit events, newest first
GET  /sandbox/panel-events   Server-Sent Events: {"kind": "eks" | "audit"} when to read again
GET  /sandbox/clock          {"now", "offset_seconds"}
POST /sandbox/clock          {"advance_seconds": N}: move the sandbox's clock forward
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import BaseRoute, Route

from bot.core.errors import PolicyUnavailable, StoreUnavailable
from bot.core.planner import DEPLOYMENT_TAG
from bot.policy_file import load_policy
from bot.sandbox.clock import MovableClock
from bot.sandbox.eks import EksStandIn, Entry
from bot.sandbox.eks_faults import Call
from bot.store import audit_read, grants, requests
from bot.store.database import Database

MOST_EVENTS = 500
MOST_SECONDS = 30 * 24 * 3600
_AUDIT_LOOK_SECONDS = 0.5
_KEEP_ALIVE_LOOKS = 30


class Panel:
    """Routes over the local EKS and the bot's store, which `watch` names once there is one."""

    def __init__(self, eks: EksStandIn, clock: MovableClock, policy_file: Path) -> None:
        self._eks = eks
        self._clock = clock
        self._policy_file = policy_file
        self._database: Database | None = None

    def watch(self, database: Database | None) -> None:
        """Read grants and audit events from this store from now on."""
        self._database = database

    def routes(self) -> list[BaseRoute]:
        """The routes, for the server of the workspace."""
        return [
            Route("/sandbox/eks", self._entries),
            Route("/sandbox/audit", self._audit),
            Route("/sandbox/panel-events", self._events),
            Route("/sandbox/clock", self._time, methods=["GET"]),
            Route("/sandbox/clock", self._advance, methods=["POST"]),
        ]

    async def _entries(self, request: Request) -> Response:
        del request
        return JSONResponse(await run_in_threadpool(self._read_entries))

    async def _audit(self, request: Request) -> Response:
        try:
            limit = int(request.query_params.get("limit", "100"))
        except ValueError:
            return JSONResponse({"error": "`limit` is a number."}, status_code=400)
        events = await run_in_threadpool(self._read_audit, max(1, min(limit, MOST_EVENTS)))
        return JSONResponse({"events": events})

    async def _time(self, request: Request) -> Response:
        del request
        return JSONResponse(self._read_clock())

    async def _advance(self, request: Request) -> Response:
        try:
            seconds = float((await request.json())["advance_seconds"])
        except (ValueError, TypeError, KeyError):
            seconds = -1.0
        if not 0 <= seconds <= MOST_SECONDS:
            sentence = f"`advance_seconds` is a number from 0 to {MOST_SECONDS}."
            return JSONResponse({"error": sentence}, status_code=400)
        await run_in_threadpool(self._clock.advance, timedelta(seconds=seconds))
        return JSONResponse(self._read_clock())

    async def _events(self, request: Request) -> Response:
        del request
        return StreamingResponse(self._changes(), media_type="text/event-stream")

    async def _changes(self) -> AsyncIterator[str]:
        loop = asyncio.get_running_loop()
        called = asyncio.Event()

        def tell(call: Call) -> None:
            del call
            loop.call_soon_threadsafe(called.set)

        end = self._eks.subscribe(tell)
        seen: object = None
        try:
            for look in range(1_000_000_000):
                if called.is_set():
                    called.clear()
                    yield _event("eks")
                latest = await run_in_threadpool(self._read_audit, 1)
                if latest != seen:
                    seen = latest
                    yield _event("audit")
                    yield _event("eks")  # grants beside the entries may have changed too
                elif look % _KEEP_ALIVE_LOOKS == 0:
                    yield ": still here\n\n"
                try:
                    await asyncio.wait_for(called.wait(), _AUDIT_LOOK_SECONDS)
                except TimeoutError:
                    continue
        finally:
            end()

    def _read_clock(self) -> dict[str, Any]:
        return {
            "now": self._clock().isoformat(),
            "offset_seconds": self._clock.offset.total_seconds(),
        }

    def _read_entries(self) -> dict[str, Any]:
        live = self._read_grants()
        fires = {
            (one.account, one.hit["ClusterName"], one.hit["PrincipalArn"]): one.at
            for one in self._eks.scheduler.schedules()
        }
        clusters = []
        for cluster in self._clusters():
            held = self._eks.entries(cluster["name"], cluster["region"], cluster["account"])
            entries = [
                _entry(entry, live.get(_key(entry), []), fires.get(_key(entry))) for entry in held
            ]
            clusters.append({**cluster, "entries": entries})
        return {"now": self._clock().isoformat(), "clusters": clusters}

    def _clusters(self) -> list[dict[str, Any]]:
        try:
            policy = load_policy(self._policy_file).policy
        except PolicyUnavailable:
            return []
        return [
            {
                "name": one.name,
                "region": one.region,
                "account": one.account,
                "authentication_mode": self._eks.authentication_mode(
                    one.name, one.region, one.account
                ),
            }
            for one in policy.clusters
        ]

    def _read_grants(self) -> dict[tuple[str, str, str], list[dict[str, Any]]]:
        found: dict[tuple[str, str, str], list[dict[str, Any]]] = {}
        if self._database is None:
            return found
        try:
            with self._database.reading() as tx:
                for grant in grants.live(tx):
                    key = (grant.cluster.account, grant.cluster.name, grant.principal_arn)
                    found.setdefault(key, []).append(
                        {
                            "id": grant.id,
                            "requester": grant.requester,
                            "level": requests.get(tx, grant.id).level,
                            "state": grant.state.value,
                            "ends_at": grant.ends_at.isoformat() if grant.confirmed_at else None,
                        }
                    )
        except StoreUnavailable:
            return {}
        return found

    def _read_audit(self, limit: int) -> list[dict[str, Any]]:
        if self._database is None:
            return []
        try:
            with self._database.reading() as tx:
                events = audit_read.latest(tx, limit)
        except StoreUnavailable:
            return []
        return [
            {
                "id": one.id,
                "at": one.event.at.isoformat(),
                "actor": one.event.actor,
                "action": one.event.action,
                "request_id": one.event.request_id,
                "cluster": one.event.cluster,
                "details": dict(one.event.details),
                "seal": {"position": one.position, "hash": one.hash} if one.position else None,
            }
            for one in events
        ]


def _key(entry: Entry) -> tuple[str, str, str]:
    return entry.account, entry.cluster, entry.principal_arn


def _entry(entry: Entry, live: list[dict[str, Any]], fires: datetime | None) -> dict[str, Any]:
    return {
        "principal_arn": entry.principal_arn,
        "type": entry.type,
        "owner": "bot" if DEPLOYMENT_TAG in entry.tags else "foreign",
        "tags": dict(entry.tags),
        "kubernetes_groups": list(entry.kubernetes_groups),
        "policies": [
            {"policy": one.policy, "scope": one.scope, "namespaces": list(one.namespaces)}
            for one in entry.associations
        ],
        "grants": live,
        "backstop_at": fires.isoformat() if fires is not None else None,
    }


def _event(kind: str) -> str:
    return f"data: {json.dumps({'kind': kind})}\n\n"
