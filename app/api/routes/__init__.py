"""The routes: each reads what was sent, asks the service, and shapes the answer."""

from fastapi import APIRouter

from app.api.routes import (
    catalogue,
    comparisons,
    datasets,
    events,
    experiments,
    exports,
    jobs,
    quotes,
    reports,
    state,
)

router = APIRouter()
for room in (
    jobs,
    events,
    reports,
    exports,
    experiments,
    comparisons,
    quotes,
    datasets,
    catalogue,
    state,
):
    router.include_router(room.router)
