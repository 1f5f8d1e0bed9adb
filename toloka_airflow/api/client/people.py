"""Calls about people: their skills, whom to let work, and what is known of them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from toloka_airflow.api.client.calls import Calls, object_path

if TYPE_CHECKING:
    from toloka_airflow.api.models import Raw
    from toloka_airflow.api.models.people import Skill, UserMetadata, UserRestriction, UserSkill


class PeopleCalls(Calls):
    """Calls about skills, restrictions and metadata of people; their models are imported when they are used."""

    def create_skill(self, skill: Raw) -> Skill:
        """Create a skill (10 a minute, 100 a day); two may have the same name."""
        from toloka_airflow.api.models.people import Skill

        return Skill.from_api(self._create("/skills", skill))

    def get_skill(self, skill_id: str) -> Skill:
        """Return a skill."""
        from toloka_airflow.api.models.people import Skill

        return Skill.from_api(self._get(object_path("/skills", skill_id=skill_id)))

    def list_skills(self, **filters: Any) -> Iterator[Skill]:
        """Iterate over skills, such as those of a ``name``; also those of all requesters, unless ``global=False``."""
        from toloka_airflow.api.models.people import Skill

        return self._list("/skills", Skill, filters)

    def update_skill(self, skill_id: str, skill: Raw) -> Skill:
        """Replace all parameters of a skill."""
        from toloka_airflow.api.models.people import Skill

        return Skill.from_api(self._put(object_path("/skills", skill_id=skill_id), skill))

    def set_user_skill(self, user_skill: Raw) -> UserSkill:
        """Set what somebody has of a skill: ``skill_id``, ``user_id``, ``value`` from 0 to 100 (100,000 a day)."""
        from toloka_airflow.api.models.people import UserSkill

        return UserSkill.from_api(self._put("/user-skills", user_skill))

    def get_user_skill(self, user_skill_id: str) -> UserSkill:
        """Return what somebody has of a skill."""
        from toloka_airflow.api.models.people import UserSkill

        return UserSkill.from_api(self._get(object_path("/user-skills", user_skill_id=user_skill_id)))

    def list_user_skills(self, **filters: Any) -> Iterator[UserSkill]:
        """Iterate over what people have of skills, such as of one ``skill_id`` or one ``user_id``."""
        from toloka_airflow.api.models.people import UserSkill

        return self._list("/user-skills", UserSkill, filters)

    def delete_user_skill(self, user_skill_id: str) -> None:
        """Take a skill from somebody."""
        self._delete(object_path("/user-skills", user_skill_id=user_skill_id))

    def set_user_restriction(self, restriction: Raw) -> UserRestriction:
        """Keep somebody from all projects, a project or a pool: ``scope``, ``user_id``, ``will_expire`` (never)."""
        from toloka_airflow.api.models.people import UserRestriction

        return UserRestriction.from_api(self._put("/user-restrictions", restriction))

    def get_user_restriction(self, restriction_id: str) -> UserRestriction:
        """Return a restriction."""
        from toloka_airflow.api.models.people import UserRestriction

        return UserRestriction.from_api(self._get(object_path("/user-restrictions", restriction_id=restriction_id)))

    def list_user_restrictions(self, **filters: Any) -> Iterator[UserRestriction]:
        """Iterate over restrictions, such as those of a ``user_id``, a ``scope``, a ``project_id`` or a ``pool_id``."""
        from toloka_airflow.api.models.people import UserRestriction

        return self._list("/user-restrictions", UserRestriction, filters)

    def delete_user_restriction(self, restriction_id: str) -> None:
        """Let somebody work again."""
        self._delete(object_path("/user-restrictions", restriction_id=restriction_id))

    def get_user_metadata(self, user_id: str) -> UserMetadata:
        """Return what is known of somebody: country, languages, device."""
        from toloka_airflow.api.models.people import UserMetadata

        return UserMetadata.from_api(self._get(object_path("/user-metadata", user_id=user_id)))
