from __future__ import annotations

import time
from fnmatch import fnmatchcase

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.core.names import SYSTEM_NAMESPACES
from bot.core.patterns import Patterns

GLOBS = st.text(alphabet="ab-*?", min_size=1, max_size=6)
NAMES = st.text(alphabet="ab-", min_size=1, max_size=6)


@pytest.mark.parametrize(
    ("patterns", "name", "covered"),
    [
        (["payments"], "payments", True),
        (["payments"], "payments-eu", False),
        (["payments-*"], "payments-eu", True),
        (["payments-*"], "payments", False),
        (["payments-*"], "my-payments-eu", False),
        (["*"], "anything", True),
        (["a?c"], "abc", True),
        (["a?c"], "ac", False),
        (["a.c"], "abc", False),
        (["Prod-*"], "prod-eu", False),
        ([], "a", False),
        (["x", "y-*"], "y-1", True),
    ],
)
def test_a_name_or_glob_covers_whole_names(patterns, name, covered):
    assert Patterns(patterns).cover(name) is covered


@pytest.mark.parametrize("namespace", sorted(SYSTEM_NAMESPACES))
@pytest.mark.parametrize("glob", ["*", "kube-*", "kube-*-*", "k*", "kube-syste?"])
def test_no_glob_covers_a_system_namespace(namespace, glob):
    assert not Patterns([glob]).cover_namespace(namespace)
    assert not Patterns([glob]).cover_namespaces_of(namespace)


@pytest.mark.parametrize("namespace", sorted(SYSTEM_NAMESPACES))
def test_a_system_namespace_is_covered_by_its_own_name(namespace):
    assert Patterns(["*", namespace]).cover_namespace(namespace)


@given(GLOBS, NAMES)
@settings(max_examples=25)
def test_globs_match_as_the_shell_matches_them(glob, name):
    assert Patterns([glob]).cover(name) is fnmatchcase(name, glob)


@given(GLOBS, GLOBS, NAMES)
@settings(max_examples=25)
def test_a_glob_said_to_cover_another_covers_each_of_its_names(wide, narrow, name):
    if Patterns([wide]).cover_namespaces_of(narrow) and Patterns([narrow]).cover_namespace(name):
        assert Patterns([wide]).cover_namespace(name)


@pytest.mark.parametrize(
    ("wide", "narrow", "covers"),
    [
        ("*", "dev-*", True),
        ("dev-*", "dev-a*", True),
        ("dev-*", "dev-?", True),
        ("dev-?", "dev-*", False),
        ("dev-*", "*", False),
        ("dev-*", "dev", False),
    ],
)
def test_one_glob_covers_another_where_it_can_be_shown(wide, narrow, covers):
    assert Patterns([wide]).cover_namespaces_of(narrow) is covers


def test_a_hostile_glob_and_name_cost_no_time():
    patterns = Patterns(["*a" * 30 + "b"])
    begun = time.perf_counter()
    assert not patterns.cover("a" * 63)
    assert time.perf_counter() - begun < 1
