"""The rules of policies read plainly and slowly, to compare the evaluator with; and random policies and calls."""

import json
import random
import re

ACTIONS = ("llm.generate", "shell:run", "data:read", "data:write", "mcp.tool:call", "Data:Read")
ACTION_PATTERNS = (*ACTIONS, "*", "data:*", "*:read", "llm*", "*a*:r*", "none:such")
NAMES = ("a", "b", "ab", "a/b", "model", "x*y", "Ab", "café", "")
PATTERNS = (
    "a",
    "b",
    "a*",
    "*b",
    "*",
    "a/b",
    "*/b",
    "a*b",
    "**",
    "x*y",
    "A*",
    "café",
    "12",
    "true",
    "null",
    "*1*",
    "1*",
    "[*",
    "{*",
    "5000",
)
RESOURCES = ("model/a", "model/ab", "tool/a", "tool/b/c", "a/b", "mcp://shell/run", "p/12", "k/true")
RESOURCE_PATTERNS = (
    "*", "model/*", "model/a", "model/a*", "tool/*", "*/b", "k/*", "k/a", "k/a*", "p/1*", "p/12", "*a*", "mcp://*", "mcp://shell/run", "tool/b*c", "k/*b",
    "m*",
)  # fmt: skip
KEYS = (
    "agent_id",
    "agent_name",
    "user_id",
    "user_group",
    "tier",
    "tags.env",
    "env",
    "args.k",
    "args.p",
    "args.o.k",
    "args.o.k.p",
    "args.model",
    "t.u",
)
SCALARS = ("a", "b", "ab", "aXb", "1", "12", "true", 12, 1, 0.5, 5000.0, 1e21, -0.0, True, False, "x*y", "café", "a/b", 10**16, 2**60)
ORDERED = ("gt", "gte", "lt", "lte")


def canonical(value):
    if isinstance(value, bool) or value is None or isinstance(value, str):
        return json.dumps(value, ensure_ascii=False)
    if isinstance(value, (int, float)):
        if float(value).is_integer() and abs(value) < 1e15:
            return str(int(value))
        return {0.5: "0.5", 1e21: "1e+21", 10**16: "10000000000000000", 2**60: "1152921504606847000"}[value]
    if isinstance(value, list):
        return "[" + ",".join(map(canonical, value)) + "]"
    return "{" + ",".join(f"{canonical(key)}:{canonical(value[key])}" for key in sorted(value)) + "}"


def text(value):
    return value if isinstance(value, str) else canonical(value)


def glob_matches(pattern, have):
    return re.fullmatch(".*".join(map(re.escape, pattern.split("*"))), have, re.DOTALL) is not None


def action_of(name):
    return "".join(chr(ord(c) + 32) if "A" <= c <= "Z" else ":" if c == "." else c for c in name)


def listed(value):
    return list(value) if isinstance(value, (list, tuple)) else [value]


def scalars(value):
    if isinstance(value, dict):
        return [each for member in value.values() for each in scalars(member)]
    if isinstance(value, list):
        return [each for member in value for each in scalars(member)]
    return [] if value is None else [value]


def ways(value, segments):
    """Every value a path leads to, and whether it leads somewhere in each element of each list."""
    if not segments:
        return ([], False) if value is None else ([value], True)
    if isinstance(value, list):
        led = [ways(element, segments) for element in value]
        return [found for each, _ in led for found in each], all(whole for _, whole in led)
    if isinstance(value, dict):
        led = [ways(value.get(".".join(segments[:n])), segments[n:]) for n in range(1, len(segments) + 1)]
        led = [each for n, each in enumerate(led, 1) if value.get(".".join(segments[:n])) is not None]
        return [found for each, _ in led for found in each], any(whole for _, whole in led)
    return [], False


def found_at(value, path):
    found, whole = ways(value, path.split("."))
    return (None, True) if not found else (found, whole)


def fact(call, key):
    """(values, is whole) of a key; values None where it is absent."""
    key = "agent_id" if key == "agent_name" else key
    if key in ("agent_id", "user_id", "user_group", "session_id"):
        value = call["context"].get(key)
        if key == "agent_id" and value is None:
            value = call["context"].get("agent_name")
        return (None, True) if value is None else ([value], True)
    if key.startswith("args."):
        return found_at(call["args"], key[5:])
    if key.startswith("tags."):
        return found_at(call["tags"], key[5:])
    found = found_at(call["context"], key)
    return found if found[0] is not None else found_at(call["tags"], key)


def seen(values, is_deny):
    if is_deny:
        return [each for value in values for each in scalars(value)]
    return [each for value in values for each in listed(value)]


def passes(wanted, element, is_deny):
    """Whether one element passes; the operators of an object all together."""
    if not isinstance(wanted, dict):
        return any(glob_matches(text(pattern), text(element)) for pattern in listed(wanted))
    return all(operator_passes(operator, bound, element, is_deny) for operator, bound in wanted.items() if "exists" not in operator)


def operator_passes(operator, bound, element, is_deny):
    if operator in ORDERED:
        number = isinstance(element, (int, float)) and not isinstance(element, bool)
        comparable = isinstance(element, str) if isinstance(bound, str) else number
        if not comparable:
            return is_deny
        return {"gt": element > bound, "gte": element >= bound, "lt": element < bound, "lte": element <= bound}[operator]
    member = text(element) in [text(each) for each in listed(bound)]
    return member is not (operator == "not_in")


def condition_holds(call, key, wanted, is_deny):
    values, whole = fact(call, key)
    quantifier = any if is_deny else all
    if isinstance(wanted, dict):
        for operator, value in wanted.items():
            if "exists" in operator:
                must_exist = (operator == "exists") is value
                is_partial = values is not None and not whole  # some have it, some do not: any is enough for a deny
                there = is_deny is must_exist if is_partial else values is not None
                if there is not must_exist:
                    return False
        if all("exists" in operator for operator in wanted):
            return True
    if values is None or (not whole and not is_deny):
        return False
    elements = seen(values, is_deny)
    return bool(elements) and quantifier(passes(wanted, element, is_deny) for element in elements)


def resource_of(call):
    if call["resource"] is not None:
        return call["resource"]
    return call["context"].get("resource")


def resource_meets(call, patterns, is_deny):
    if any(not pattern.strip("*") for pattern in patterns):
        return True
    resource = resource_of(call)
    offered = [] if resource is None else [[resource]]
    for key, value in call["args"].items():
        if value is None or "/" in key:
            continue
        if is_deny:
            offered.append([f"{key}/{text(each)}" for each in scalars(value)])
        elif all(each is not None and not isinstance(each, (list, dict)) for each in listed(value)):
            offered.append([f"{key}/{text(each)}" for each in listed(value)])
    quantifier = any if is_deny else all
    return any(bool(texts) and quantifier(any(glob_matches(pattern, each) for pattern in patterns) for each in texts) for texts in offered)


def judge(rules, call):
    """(verdict, place) of the first rule that matches; place None for the default, "malformed" for what is denied at once."""
    resource = resource_of(call)
    for name in (call["action"], resource):
        if name is not None and (".." in name.split("/") or any(ord(c) < 32 or ord(c) == 127 or c in "\u200b\u202e" for c in name)):
            return "deny", "malformed"
    names = [action_of(call["action"])]
    if resource is not None and resource.startswith("mcp://"):
        names.append("mcp:tool:call")
    for place, rule in enumerate(rules):
        is_deny = rule["effect"] == "deny"
        if not any(glob_matches(action_of(pattern), name) for pattern in listed(rule["action"]) for name in names):
            continue
        if not resource_meets(call, listed(rule.get("resource", "*")), is_deny):
            continue
        if all(condition_holds(call, key, wanted, is_deny) for key, wanted in rule.get("conditions", {}).items()):
            return rule["effect"], place
    return "deny", None


def some(rng, choices, most):
    return [rng.choice(choices) for _ in range(rng.randint(1, most))]


def one_or_some(rng, choices):
    return rng.choice(choices) if rng.random() < 0.7 else some(rng, choices, 3)


def a_wanted(rng):
    kind = rng.random()
    if kind < 0.5:
        return rng.choice(PATTERNS)
    if kind < 0.65:
        return some(rng, (*PATTERNS, 12, True, 0.5), 3)
    operators = {}
    for _ in range(1 if rng.random() < 0.8 else 2):
        operator = rng.choice(("eq", "in", "not_in", "exists", "not_exists", *ORDERED))
        if operator in ("in", "not_in"):
            operators[operator] = some(rng, SCALARS, 3)
        elif "exists" in operator:
            operators[operator] = rng.random() < 0.8
        else:
            operators[operator] = rng.choice((1, 5, 12.0, "a", "b")) if operator in ORDERED else rng.choice(SCALARS)
    return operators


def a_rule(rng):
    rule = {"effect": rng.choice(("deny", "deny", "allow", "allow", "warn", "audit")), "action": one_or_some(rng, ACTION_PATTERNS)}
    if rng.random() < 0.7:
        rule["resource"] = one_or_some(rng, RESOURCE_PATTERNS)
    if rng.random() < 0.6:
        keys = set(some(rng, KEYS, 2))
        if not {"agent_id", "agent_name"} <= keys:
            rule["conditions"] = {key: a_wanted(rng) for key in sorted(keys)}
    return rule


def a_policy(rng):
    return [a_rule(rng) for _ in range(rng.randint(0, 8))]


def a_value(rng, depth=0):
    kind = rng.random()
    if kind < 0.6 or depth > 2:
        return rng.choice(SCALARS)
    if kind < 0.65:
        return None
    if kind < 0.85:
        return [a_value(rng, depth + 1) for _ in range(rng.randint(0, 3))]
    return {rng.choice(("k", "p", "o", "k.p", "a")): a_value(rng, depth + 1) for _ in range(rng.randint(0, 3))}


def some_values(rng, keys):
    return {key: a_value(rng) for key in keys if rng.random() < 0.5}


def a_call(rng):
    context = {key: rng.choice(("a", "b", "ab", "aXb")) for key in ("agent_id", "user_id", "user_group") if rng.random() < 0.5}
    context |= some_values(rng, ("tier", "t", "env", "t.u")) if rng.random() < 0.5 else {}
    if rng.random() < 0.2:
        context["resource"] = rng.choice(RESOURCES)
    return {
        "action": rng.choice(ACTIONS) if rng.random() < 0.97 else rng.choice(("a\nb:c", "../x:run", "a..b:run")),
        "resource": rng.choice((*RESOURCES, None, None, None)) if rng.random() < 0.97 else rng.choice(("a/../b", "a\u200bb", "a..b")),
        "context": context,
        "tags": some_values(rng, ("env", "t", "tier")) if rng.random() < 0.5 else {},
        "args": some_values(rng, ("k", "p", "o", "model", "a/b", "o.k")) if rng.random() < 0.8 else {},
    }


def seeded(seed):
    return random.Random(seed)
