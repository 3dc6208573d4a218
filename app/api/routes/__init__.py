"""The routes: each reads what was sent, asks the service, and shapes the answer."""

from fastapi import APIRouter

from app.api.routes import catalogue, events, jobs, reports, state

router = APIRouter()
for room in (jobs, events, reports, catalogue, state):
    router.include_router(room.router)
