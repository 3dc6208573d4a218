"""The pages around an API: its routes, and errors for people."""

from fastapi import FastAPI

from app.web.errors import ErrorPages
from app.web.routes import router


def add_pages(app: FastAPI) -> None:
    """Give an app of `app.api` its pages; they ask the same service."""
    app.include_router(router)
    app.add_middleware(ErrorPages)  # outside of everything that may refuse a request
