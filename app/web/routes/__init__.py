"""The pages: each asks the service, and hands a template what it shows."""

from fastapi import APIRouter

from app.web.routes import assets, compare, experiments, hosts, job, jobs, overview, submit

router = APIRouter(include_in_schema=False)
for room in (overview, submit, jobs, job, compare, experiments, hosts, assets):
    router.include_router(room.router)
