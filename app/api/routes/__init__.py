"""The routes: each reads what was sent, asks the service, and shapes the answer."""

from fastapi import APIRouter

from app.api.routes import catalogue, datasets, events, jobs, reports, state

router = APIRouter()
for room in (jobs, events, reports, datasets, catalogue, state):
    router.include_router(room.router)
