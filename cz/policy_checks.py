"""`cz policy validate | lint | test | fmt`: what can be said of policies without a project."""

import sys
from pathlib import Path
from typing import Annotated

import msgspec
from cyclopts import Parameter
from msgspec import Struct
from rich.text import Text

from controlplane.signing import parse_policies
from controlplane.wording import counted
from controlzero import policy as policy_language
from controlzero.errors import PolicyError, Problem, Rejected, told
from controlzero.policy import Policy, located, policy_digest
from controlzero.policy.examples import Remark, remarks_on
from cz import policy_cases
from cz.display import console, done, failed, noted, print_json, short, unchanged, warned
from cz.opening import READING, STANDARD_INPUT, Reading, read_text
from cz.policy_files import files_of, policy_name, read_policies
from cz.policy_format import formatted

FilesArgument = Annotated[
    list[Path],
    Parameter(help="Policies in JSON or YAML: files, folders, globs; - for standard input", negative="", allow_leading_hyphen=True),
]


def validate(files: FilesArgument, /, *, options: Reading = READING) -> None:
    """Say whether policies can be applied: every problem and every doubt is named with its place. Exit code 1 where one cannot.

    A problem is an error. A doubt is a warning: what is valid and can hardly be meant, such as a rule that can never decide.

    Example:  cz policy validate support-bot.yaml

    Example:  cz policy validate 'policies/**/*.yaml' --json
    """
    reports = [_report(file) for file in files_of(files)]
    if options.json:
        print_json(reports[0] if len(reports) == 1 else reports)
    else:
        for report in reports:
            _say_report(report, next_step=f"cz policy apply {report.file}" if len(reports) == 1 else None)
    if not all(report.valid for report in reports):
        sys.exit(1)


def lint(
    files: FilesArgument,
    /,
    *,
    strict: Annotated[bool, Parameter(negative="", help="Exit with 1 where there are notes too")] = False,
    options: Reading = READING,
) -> None:
    """Name rules that can never decide, and rules that order decides, each with a call that shows it.

    A warning is most likely a mistake: the exit code is 1. A note tells what rests on the order of two rules, as every exception does:
    the exit code stays 0. Its example is a case for `cz policy test`.

    Example:  cz policy lint support-bot.yaml

    Example:  cz policy lint policies/ --strict --json
    """
    there, found, refused = files_of(files), list[tuple[Path, Remark]](), list[Report]()
    for file in there:
        try:
            found.extend((file, remark) for remark in _remarks(file))
        except Rejected as error:
            refused.append(_refused(file, error))
    if options.json:
        errors = [{"file": one.file, "kind": "error", "problem": each, "example": None} for one in refused for each in one.problems]
        print_json([*errors, *({"file": str(file), **msgspec.to_builtins(remark)} for file, remark in found)])
    else:
        for report in refused:
            _say_report(report, next_step=None)
        for file, remark in found:
            (warned if remark.kind == "warning" else noted)(f"{file}: {told(remark.problem)}")
            if remark.example is not None:
                shown = policy_cases.call_text(remark.example.call)
                noted(f"  {shown} is {remark.example.verdict}, by {remark.example.rule}", sign=" ")
        if not found and not refused:
            done(f"{counted(len(there), 'file')}: nothing to remark.")
    if refused or any(strict or remark.kind == "warning" for _, remark in found):
        sys.exit(1)


def run_tests(
    files: Annotated[
        list[Path], Parameter(help="Test files, folders (*_test.yaml), globs; - for standard input", negative="", allow_leading_hyphen=True)
    ],
    /,
    *,
    policy: Annotated[
        list[Path] | None, Parameter(help="Judge by this policy instead of the one a file names; may be repeated", negative="")
    ] = None,
    junit: Annotated[Path | None, Parameter(help="Also write the results as JUnit XML, for CI")] = None,
    options: Reading = READING,
) -> None:
    """Judge the calls of test files, and tell which verdicts are not as wanted. Exit code 1 where one is not.

    A test file names a policy and cases: `call` (as enforce() takes it) or `guard`, and `wanted`, a verdict or more of the judgement.

    Example:  cz policy test support-bot_test.yaml

    Example:  cz policy test policies/ --policy stricter.yaml --junit results.xml
    """
    ran = policy_cases.run(files_of(files, tests=True), policies=read_policies(policy) if policy else ())
    if junit is not None:
        junit.write_bytes(policy_cases.junit(ran))
    if options.json:
        print_json({"passed": len(ran.results) - ran.failed, "failed": ran.failed, "untested": ran.untested, "results": ran.results})
    else:
        _say_results(ran)
    if ran.failed or not ran.results:
        sys.exit(1)


def fmt(
    files: FilesArgument,
    /,
    *,
    check: Annotated[bool, Parameter(negative="", help="Change nothing; exit with 1 where something would change")] = False,
    options: Reading = READING,
) -> None:
    """Write policies in one way: keys in one order, one indentation. Comments stay; what a policy says never changes.

    Standard input is written to standard output.

    Example:  cz policy fmt support-bot.yaml

    Example:  cz policy fmt policies/ --check
    """
    there, changed, refused = files_of(files), list[str](), list[str]()
    for file in there:
        try:
            before = read_text(file)
            after = formatted(before, name=policy_name(file))
        except Rejected as error:
            refused.append(_named(file, error))
            continue
        if file == STANDARD_INPUT and not check:
            sys.stdout.write(after)
        elif before != after:
            changed.append(str(file))
            if not check:
                file.write_text(after, encoding="utf-8")
    if options.json:
        print_json({"changed": changed, "refused": refused})
    elif there != [STANDARD_INPUT] or check:
        for name in changed:
            (warned if check else done)(f"{name}: {'would be' if check else 'is'} written anew.")
        if not changed and not refused:
            unchanged(f"{counted(len(there), 'file')}: written as it should be.")
    if refused:
        raise Rejected("\n".join(refused))
    if check and changed:
        sys.exit(1)


def read_policy(file: Path) -> tuple[tuple[Policy, ...], tuple[Problem, ...]]:
    """Return the policy in a file, named for the file where it gives no name itself, and what may be meant otherwise in it."""
    text = read_text(file)
    policies = parse_policies(text, name=policy_name(file))
    return policies, located(policy_language.lint(policies), text)


class Report(Struct, frozen=True):
    """What is to be said of a policy in a file."""

    file: str
    valid: bool
    policy_digest: str | None = None
    rules: int = 0
    problems: tuple[Problem, ...] = ()
    warnings: tuple[Problem, ...] = ()


def _report(file: Path) -> Report:
    try:
        policies, doubts = read_policy(file)
    except Rejected as error:
        return _refused(file, error)
    return Report(str(file), True, policy_digest(policies), sum(len(policy.rules) for policy in policies), (), doubts)  # noqa: FBT003


def _refused(file: Path, error: Rejected) -> Report:
    whole = (Problem(path="", message=str(error).removeprefix(f"{file}: ")),)
    return Report(str(file), valid=False, problems=error.problems if isinstance(error, PolicyError) else whole)


def _named(file: Path, error: Rejected) -> str:
    """Return the error with the file in it: several may hold policies of one name."""
    return str(error) if str(error).startswith(f"{file}: ") else f"{file}: {error}"


def _say_report(report: Report, *, next_step: str | None) -> None:
    for problem in report.problems:
        failed(f"{report.file}: {told(problem)}")
    for doubt in report.warnings:
        warned(f"{report.file}: {told(doubt)}")
    if report.valid:
        done(
            f"{report.file}: {counted(report.rules, 'rule')}, policy {short(report.policy_digest)}. It can be applied.",
            next_step=next_step,
        )


def _say_results(ran: policy_cases.Run) -> None:
    group: tuple[str, str | None] | None = None
    for result in ran.results:
        if group != (result.file, result.group):
            group = (result.file, result.group)
            console.print(Text(" · ".join(filter(None, group)), style="bold"), soft_wrap=True)
        if result.passed:
            done(f"{result.case}  → {result.verdict}, by {result.rule or 'no rule'}")
        else:
            failed(f"{result.case}  → {policy_cases.difference(result)}")
            noted(f"  {result.verdict}, by {result.rule or 'no rule'}: {result.reason}", sign=" ")
    if ran.untested:
        noted(f"decided no case: {', '.join(ran.untested)}")
    passed = len(ran.results) - ran.failed
    (failed if ran.failed or not ran.results else done)(f"{passed} of {counted(len(ran.results), 'case')} as wanted.")


def _remarks(file: Path) -> tuple[Remark, ...]:
    """Return what is to be said of a policy in a file, each with its line."""
    text = read_text(file)
    return remarks_on(text, parse_policies(text, name=policy_name(file)))
