"""Pages for people: where links to a pool, a project and a skill lead."""

from __future__ import annotations

from html import escape
from string import Template
from typing import TYPE_CHECKING

from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

from toloka_airflow.emulator.resources.pools.pools import summary

if TYPE_CHECKING:
    from starlette.requests import Request

    from toloka_airflow.emulator.world.entities import Pool
    from toloka_airflow.emulator.world.people import Skill, UserSkill
    from toloka_airflow.emulator.world.world import World

FRAME = Template("""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="refresh" content="2">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>$title</title>
<style>
body { font: 16px/1.5 system-ui, sans-serif; max-width: 46rem; margin: 2rem auto; padding: 0 1rem; color: #222; }
h1 { font-size: 1.5rem; margin-bottom: 0.25rem; }
p.where { color: #666; margin-top: 0; }
table { border-collapse: collapse; width: 100%; }
th, td { text-align: left; padding: 0.4rem 0.8rem 0.4rem 0; border-bottom: 1px solid #ddd; font-weight: normal; }
th { color: #666; width: 12rem; }
thead th { width: auto; }
progress { width: 100%; height: 1rem; }
.OPEN { color: #176f2c; } .LOCKED { color: #8a5a00; } .ARCHIVED { color: #666; }
</style>
</head>
<body>
$body
</body>
</html>
""")


def page_routes(world: World) -> list[Route]:
    """Return the routes of the pages."""

    async def overview(request: Request) -> Response:
        with world.up_to_date():
            return _html(_overview(list(world.pools.values())))

    async def pool(request: Request) -> Response:
        with world.up_to_date():
            found = world.pools.get(request.path_params["pool_id"])
            if found is None or found.body["project_id"] != request.path_params["project_id"]:
                return _absent("pool")
            return _html(_pool(found))

    async def of_project(request: Request) -> Response:
        with world.up_to_date():
            found = world.projects.get(request.path_params["project_id"])
            if found is None:
                return _absent("project")
            pools = [pool for pool in world.pools.values() if pool.body["project_id"] == found.id]
            return _html(_overview(pools, str(found.body["public_name"])))

    async def skill(request: Request) -> Response:
        with world.up_to_date():
            found = world.skills.get(request.path_params["skill_id"])
            if found is None:
                return _absent("skill")
            return _html(_skill(found, [had for had in world.user_skills.values() if had.skill_id == found.id]))

    project = "/requester/project/{project_id}"
    return [
        Route("/", overview),
        Route(project, of_project),
        Route("/requester/quality/skill/{skill_id}", skill),
        Route(f"{project}/pool/{{pool_id}}", pool),
        Route(f"{project}/training/{{pool_id}}", pool),
    ]


def _html(page: str, status: int = 200) -> Response:
    # Half a surrogate pair is valid in JSON, so a name may have one, but it has no bytes.
    return HTMLResponse(page.encode(errors="replace"), status)


def _absent(noun: str) -> Response:
    return _html(_frame("Not found", f"<h1>There is no such {noun}</h1>"), 404)


def _frame(title: str, body: str) -> str:
    return FRAME.substitute(title=escape(title), body=body)


def _overview(pools: list[Pool], title: str = "Toloka emulator") -> str:
    rows = "".join(
        f'<tr><td><a href="{_address(pool)}">{escape(_name(pool))}</a></td><td>{pool.kind.lower()}</td>'
        f"<td>{_status(pool)}</td><td>{pool.completion:.0%}</td></tr>"
        for pool in reversed(pools)
    )
    head = "<thead><tr><th>Pool</th><th>Kind</th><th>Status</th><th>Done</th></tr></thead>"
    body = f"<table>{head}<tbody>{rows}</tbody></table>" if rows else "<p>There are no pools yet.</p>"
    return _frame(title, f"<h1>{escape(title)}</h1>{body}")


def _skill(skill: Skill, people: list[UserSkill]) -> str:
    rows = "".join(f"<tr><td>{escape(had.user_id)}</td><td>{had.value}</td></tr>" for had in people)
    head = "<thead><tr><th>Person</th><th>Value</th></tr></thead>"
    body = f"<table>{head}<tbody>{rows}</tbody></table>" if rows else "<p>Nobody has it yet.</p>"
    title = str(skill.body["name"])
    return _frame(title, f'<h1>{escape(title)}</h1><p class="where">Skill {escape(skill.id)}</p>{body}')


def _pool(pool: Pool) -> str:
    facts = summary(pool)
    rows = {
        "Status": _status(pool),
        "Close reason": escape(facts["close_reason"] or "-"),
        "Tasks": f"{facts['tasks']}",
        "Answers": f"{facts['answers']} of {facts['answers_wanted'] or 'any number'}",
        "People": f"{facts['people']}",
        "Spent": f"${facts['spent']:.2f}",
    }
    table = "".join(f"<tr><th>{name}</th><td>{value}</td></tr>" for name, value in rows.items())
    body = f"""<h1>{escape(_name(pool))}</h1>
<p class="where">{pool.kind.capitalize()} {escape(pool.id)} of project {escape(pool.body["project_id"])}
in the Toloka emulator · <a href="/">all pools</a></p>
<p><progress max="1" value="{pool.completion:.4f}"></progress> {pool.completion:.0%} done</p>
<table>{table}</table>"""
    return _frame(_name(pool), body)


def _status(pool: Pool) -> str:
    return f'<span class="{pool.shown_status}">{pool.shown_status}</span>'


def _name(pool: Pool) -> str:
    return str(pool.body["private_name"])


def _address(pool: Pool) -> str:
    kind = "training" if pool.is_training else "pool"
    return f"/requester/project/{pool.body['project_id']}/{kind}/{pool.id}"
