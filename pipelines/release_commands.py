"""Commands about releases: publish one, list and compare its versions, check it. cli.py gives them their names."""

from pathlib import Path
from typing import Annotated

import typer

Target = Annotated[str, typer.Argument(help="Target: hub:ORG/NAME or local:PATH.")]


def publish_release(
    run: Annotated[Path, typer.Argument(help="Folder of a run, such as runs/NAME.")],
    to: Annotated[str, typer.Option(help="Target: hub:ORG/NAME or local:PATH.")],
    version: Annotated[str | None, typer.Option(help="Version MAJOR.MINOR.PATCH; by default the one that the change "
                                                     "requires.")] = None,
    private: Annotated[bool | None, typer.Option("--private/--public", help="Whether the repository is private. An "
                                                 "existing one must match; a new one is private by default.")] = None,
    dry_run: Annotated[bool, typer.Option(help="Report what would happen without changing anything.")] = False,
    pr: Annotated[bool, typer.Option(help="Open a pull request instead of a commit, or update the open one.")] = False,
    any_version: Annotated[bool, typer.Option(help="Allow a lower version than the change requires.")] = False,
    take_over: Annotated[bool, typer.Option(help="Replace an untagged commit of another run.")] = False,
) -> None:
    """Publish the release of a run as one tagged version. After an interruption the same command resumes."""
    from stepforge.cards.publish import publish
    from stepforge.pipelines.run_folder import release_path
    from stepforge.pipelines.views import console

    release = release_path(run) if release_path(run).is_dir() else run
    done = publish(release, to, version, private, dry_run, pr, any_version, take_over)
    what = "would publish" if dry_run else "was there already:" if done.already else "published"
    console.say(f"{what} {to} v{done.version}: {done.files} files, {done.bytes_added:,} bytes added", soft_wrap=False)
    for note in done.notes:
        console.say(f"note: {console.printable(note)}")
    if done.pull_request:
        console.say(f"pull request {done.pull_request}; publish again once it is merged")


def list_versions(target: Target) -> None:
    """List the published versions with their numbers of rows."""
    from stepforge.cards import versions
    from stepforge.pipelines.views import console

    console.out.print(versions.versions_table(versions.versions(target)))


def diff_versions(
    target: Target,
    old: Annotated[str, typer.Argument(help="The older version, such as 1.0.0.")],
    new: Annotated[str, typer.Argument(help="The newer version.")],
) -> None:
    """Show the changes between two versions: configs, rows, columns and measures."""
    from stepforge.cards import versions
    from stepforge.pipelines.views import console

    difference = versions.diff(target, old, new)
    tables = versions.diff_tables(difference)
    for table in tables:
        console.out.print(table)
    if difference.leak:
        console.say(difference.leak)
    if not tables:
        console.say(f"nothing changed from {old} to {new}: rows, columns and measures are the same")


def check_release(
    release: Annotated[str, typer.Argument(help="Release: hub:ORG/NAME or local:PATH, which means the newest "
                                           "version; with @v1.0.0 that version; or a folder.")],
) -> None:
    """Check a release: checksums, schemas, joins between configs, leaks between splits, pairs."""
    from stepforge.cards.check import check, problems_table
    from stepforge.pipelines.views import console

    problems = check(release)
    if problems:
        console.out.print(problems_table(problems))
        raise typer.Exit(1)
    console.out.print("no problems found")
