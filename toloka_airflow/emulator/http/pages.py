"""Pages for people: where links to a pool, a project and a skill lead."""

from __future__ import annotations

from collections import Counter
from html import escape
from string import Template
from typing import TYPE_CHECKING

from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

from toloka_airflow.emulator.resources.pools.pools import summary
from toloka_airflow.emulator.world.clock import format_date
from toloka_airflow.emulator.world.entities import AssignmentStatus

if TYPE_CHECKING:
    from decimal import Decimal

    from starlette.requests import Request

    from toloka_airflow.emulator.world.entities import Pool
    from toloka_airflow.emulator.world.items import Item
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
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; color: #222; }
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
            return _html(_overview(world, list(world.pools.values())))

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
            return _html(_overview(world, pools, str(found.body["public_name"])))

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


def _overview(world: World, pools: list[Pool], title: str = "Toloka emulator") -> str:
    rows = "".join(
        f'<tr><td>{escape(pool.id)}</td><td><a href="{_address(pool)}">{escape(_name(pool))}</a></td>'
        f"<td>{_project(world, pool)}</td><td>{pool.kind.lower()}</td><td>{_status(pool)}</td>"
        f"<td>{pool.completion:.0%}</td><td>{_money(pool.spent)}</td><td>{_time(pool.created)}</td>"
        f"<td>{_time(pool.last_started)}</td></tr>"
        for pool in reversed(pools)
    )
    names = ("Id", "Pool", "Project", "Kind", "Status", "Done", "Spent, with fee", "Created", "Last opened")
    head = f"<thead><tr>{''.join(f'<th>{name}</th>' for name in names)}</tr></thead>"
    body = f"<table>{head}<tbody>{rows}</tbody></table>" if rows else "<p>There are no pools yet.</p>"
    return _frame(title, f"<h1>{escape(title)}</h1>{_account(world)}{body}")


def _account(world: World) -> str:
    """Return the time and the money that there are, in a line."""
    clock = world.clock.view()
    pace = "stands still" if clock["frozen"] else f"runs {clock['speed']:g} times as fast as real time"
    return (
        f'<p class="where">Virtual time is {_time(world.now)} UTC and {pace} · '
        f"balance {_money(world.account.balance)}, of which {_money(world.account.reserved)} are reserved for "
        "assignments that are not reviewed</p>"
    )


def _project(world: World, pool: Pool) -> str:
    project = world.projects[pool.body["project_id"]]
    name = f"{project.body['public_name']} ({project.id})"
    return f'<a href="/requester/project/{escape(project.id)}">{escape(name)}</a>'


def _skill(skill: Skill, people: list[UserSkill]) -> str:
    rows = "".join(f"<tr><td>{escape(had.user_id)}</td><td>{had.value}</td></tr>" for had in people)
    head = "<thead><tr><th>Person</th><th>Value</th></tr></thead>"
    body = f"<table>{head}<tbody>{rows}</tbody></table>" if rows else "<p>Nobody has it yet.</p>"
    title = str(skill.body["name"])
    return _frame(title, f'<h1>{escape(title)}</h1><p class="where">Skill {escape(skill.id)}</p>{body}')


def _pool(pool: Pool) -> str:
    facts = summary(pool)
    pages = Counter(assignment.status for assignment in pool.assignments)
    controls = sum(not task.is_real for task in pool.tasks)
    rows = {
        "Status": _status(pool),
        "Close reason": escape(facts["close_reason"] or "-"),
        "Last opened": _time(pool.last_started),
        "Last closed": _time(pool.last_stopped),
        "Expires": escape(str(pool.body.get("will_expire", "-"))[:19].replace("T", " ")),
        "Tasks": f"{facts['tasks']}, of which {controls} are control tasks",
        "Overlap": _overlaps(pool),
        "Answers": f"{facts['answers']} of {facts['answers_wanted'] or 'any number'}, without those to control tasks",
        "Assignments": ", ".join(f"{pages[status]} {status.lower()}" for status in AssignmentStatus if pages[status])
        or "-",
        "People": f"{facts['people']}",
        "Spent, with fee": _money(pool.spent),
    }
    table = "".join(f"<tr><th>{name}</th><td>{value}</td></tr>" for name, value in rows.items())
    body = f"""<h1>{escape(_name(pool))}</h1>
<p class="where">{pool.kind.capitalize()} {escape(pool.id)} of project {escape(pool.body["project_id"])}
in the Toloka emulator · <a href="/">all pools</a></p>
<p><progress max="1" value="{pool.completion:.4f}"></progress> {pool.completion:.0%} done</p>
<table>{table}</table>"""
    return _frame(_name(pool), body)


def _overlaps(pool: Pool) -> str:
    """Return how many people are to answer a task, or a suite that was uploaded as one."""
    items: list[Item] = [*pool.tasks, *pool.suites]
    overlaps = {item.overlap for item in items if item.answers_each}
    finite = sorted(overlap for overlap in overlaps if overlap is not None)
    shown = [f"{finite[0]}" if finite[0] == finite[-1] else f"{finite[0]} to {finite[-1]}"] if finite else []
    return " or ".join([*shown, *(["any number"] if None in overlaps else [])]) or "-"


def _status(pool: Pool) -> str:
    return f'<span class="{pool.shown_status}">{pool.shown_status}</span>'


def _name(pool: Pool) -> str:
    return str(pool.body["private_name"])


def _address(pool: Pool) -> str:
    kind = "training" if pool.is_training else "pool"
    return f"/requester/project/{pool.body['project_id']}/{kind}/{pool.id}"


def _time(moment: int | None) -> str:
    return "-" if moment is None else format_date(moment)[:19].replace("T", " ")


def _money(amount: Decimal) -> str:
    return f"${amount:,.2f}"
