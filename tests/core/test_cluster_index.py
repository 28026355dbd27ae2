"""Rules and names found by index are those that a look at each of them finds."""

from __future__ import annotations

import difflib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.core.cluster_index import NearNames
from bot.core.names import nearest
from bot.core.policy import Policy

NAMES = ("prod", "prod-eu", "prod-us", "lab", "lab-1", "a")
globs = st.sampled_from(["*", "prod*", "prod-??", "*-eu", "?", "l*b", "lab-*", "x*", "pr?d"])
labels = st.dictionaries(st.sampled_from("abc"), st.sampled_from("12"), max_size=3)
selectors = st.sampled_from(NAMES) | globs | labels.filter(bool).map(lambda one: {"labels": one})


@given(
    st.lists(labels, min_size=len(NAMES), max_size=len(NAMES)),
    st.lists(st.lists(selectors, min_size=1, max_size=4), max_size=8),
)
def test_the_rules_on_a_cluster_are_all_those_that_cover_it_in_the_order_of_the_file(has, rules):
    policy = Policy.model_validate(
        {
            "deployment": "acme",
            "clusters": [
                {"name": name, "region": "eu-west-1", "account": "111122223333", "labels": own}
                for name, own in zip(NAMES, has, strict=True)
            ],
            "levels": {"view": {"policy": "AmazonEKSViewPolicy"}},
            "principals": {"users": {"U01ALICE": "arn:aws:iam::{account}:role/alice"}},
            "rules": [
                {
                    "name": f"rule {number}",
                    "clusters": chosen,
                    "levels": ["view"],
                    "namespaces": ["default"],
                    "approval": "automatic",
                    "max_duration": "1h",
                }
                for number, chosen in enumerate(rules)
            ],
        }
    )
    for cluster in policy.clusters_by_name.values():
        every = tuple(rule for rule in policy.rules if rule.covers(cluster))
        assert policy.rules_on(cluster.name) == every


MANY = [f"{team}-{env}-{number}" for team in ("pay", "shop", "data-lake", "search", "crm")
        for env in ("dev", "test", "prod-eu", "prod-us") for number in range(50)]  # fmt: skip


@given(st.sampled_from(MANY), st.data())
def test_among_very_many_names_one_as_near_as_the_one_meant_is_found(name, data):
    at = data.draw(st.integers(0, len(name) - 2))
    typed = data.draw(
        st.sampled_from(
            [
                name[:at] + name[at + 1 :],
                name[:at] + name[at + 1] + name[at] + name[at + 2 :],
                name[:at] + "x" + name[at:],
                name.upper(),
            ]
        )
    )
    found = NearNames(MANY).nearest(typed)
    assert found is not None
    assert alike(found, typed) >= alike(name, typed)


def alike(name: str, typed: str) -> float:
    # As difflib compares: what was typed comes second.
    return difflib.SequenceMatcher(None, name, typed.lower()).ratio()


@pytest.mark.parametrize("typed", ["", "zzz", "x" * 5_000, "\u0130\U0001f308", "  "])
def test_what_is_like_no_name_means_none(typed):
    assert NearNames(MANY).nearest(typed) is None


@given(st.text(max_size=12))
def test_among_few_names_it_is_what_is_nearest(typed):
    assert NearNames(NAMES).nearest(typed) == nearest(typed, NAMES)
