"""Publish a release as a version: one commit with everything, checked where it stands, then its tag.

In goes a release folder and a target; out comes the version, whole, or nothing. The work is a loop that looks at the
target and takes the one step that is still missing: commit, check, tag. So a run that was killed anywhere is finished
by running again, a lost answer is noticed by looking, and of two publishers the target's own rules let one win. The
tag comes last and is set only on a commit whose files have been compared with the manifest. A file is read
once, for its upload; a file that the target has already is not read at all.
"""

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

from stepforge.builders.manifest import MANIFEST, ManifestError, parse_manifest
from stepforge.cards.address import PublishError
from stepforge.cards.bundle import Blob, Bundle, There, make_bundle, read_unstamped
from stepforge.cards.dataset_card import CARD
from stepforge.cards.edits import Written, parse_card
from stepforge.cards.failures import Absent, Busy, Moved
from stepforge.cards.readback import verify
from stepforge.cards.semver import Version, parse_tag, parse_version
from stepforge.cards.settings import changed_settings
from stepforge.cards.stored import Stored, read_version
from stepforge.cards.targets import Request, Target, open_target
from stepforge.cards.upload import fits_one_commit
from stepforge.cards.versions import Diff, compare_versions, demand_version, propose_version

ATTEMPTS = 8
MAX_WAIT_S = 60.0


class Published(NamedTuple):
    """What was published, or with `dry_run` what would be; a note for each edit of people that the card keeps."""

    version: str
    commit: str | None
    files: int
    bytes_added: int
    changes: dict[str, dict]
    already: bool
    pull_request: str | None = None
    notes: tuple[str, ...] = ()


class _Plan(NamedTuple):
    """One look at the target: what it has, what it should have, and the difference."""

    bundle: Bundle
    add: dict[str, Blob]
    delete: list[str]
    head: str | None
    tagged: str | None

    @property
    def version(self) -> str:
        return self.bundle.manifest["version"]


def publish(folder: Path, to: str, version: str | None = None, private: bool | None = None, dry_run: bool = False,
            pr: bool = False, any_version: bool = False, take_over: bool = False,
            sleep: Callable[[float], None] = time.sleep) -> Published:
    """Publish the release in `folder`, and report what was done.

    Args:
        to: `hub:ORG/NAME` or `local:PATH`.
        version: MAJOR.MINOR.PATCH; by default the lowest that the change requires.
        private: whether the repository on the Hub is private. An existing one is never changed, so it must match; a
            new one is private unless this is false.
        dry_run: change nothing, at the target or in the folder.
        pr: open a pull request instead of a commit, or update the open one. Once it is merged, publishing again checks
            and tags it.
        any_version: take a version that is lower than the change demands, but still above the last one.
        take_over: replace what another run committed under a version that it never tagged.

    Raises:
        PublishError: the version exists with other content, another run's commit is in the way, the token may not
            write, or the target stayed unreachable. The target then holds what it held, or a commit without a tag.
        VersionError: the version is lower than the change demands.
        ReleaseError: the folder's files are not those of its manifest.
        EditError: people's edits of the card cannot be merged, such as a license that both sides changed.
    """
    if not to.startswith(("hub:", "local:")):
        raise PublishError(f"{to!r} may be a repository or a folder; write hub:{to} to publish on the Hub, or "
                           f"local:{to} for a folder")
    target = open_target(to)
    wanted = parse_version(version) if version else None
    publisher = _Publisher(folder, target, wanted, any_version, take_over)
    if dry_run:
        _demand_visibility(target, private)
        return publisher.preview()
    made: tuple[str, ...] = ()
    for attempt in range(ATTEMPTS):
        try:
            if _demand_visibility(target, private):
                target.create(private is not False)
                made = _made(target, private)
            done = publisher.advance(pr)
            return done._replace(notes=made + done.notes)
        except Moved:
            continue
        except Busy as busy:
            if attempt == ATTEMPTS - 1:
                raise PublishError(f"{busy.why}, {ATTEMPTS} times in a row; nothing is partly published: run the same "
                                   "command again later to resume") from busy
            sleep(min(busy.wait_s if busy.wait_s is not None else 2.0**attempt, MAX_WAIT_S))
    raise PublishError(f"{target.name} was changed by others {ATTEMPTS} times while publishing; run the command again")


def _demand_visibility(target: Target, private: bool | None) -> bool:
    """Whether there is nothing yet at the target.

    Raises:
        PublishError: the repository is public where a private one is asked for, or the other way round.
    """
    is_private = target.is_private()
    if None not in (private, is_private) and private != is_private:
        there, asked = ("private", "public") if is_private else ("public", "private")
        raise PublishError(f"{target.name} is {there}, and publishing never changes that; make it {asked} in the "
                           f"repository's settings on the Hub, or leave out --{asked}. Nothing was published")
    return is_private is None


def _made(target: Target, private: bool | None) -> tuple[str, ...]:
    """What to say of a repository that was just made."""
    if target.repo is None or private is not None:
        return ()
    return (f"{target.name} is new and private; make it public in its settings on the Hub; --public makes a new "
            "repository public",)


class _Publisher:
    """One publication: what does not change while the target is looked at again and again."""

    def __init__(self, folder: Path, target: Target, version: Version | None, any_version: bool,
                 take_over: bool) -> None:
        self.folder, self.target, self.version = folder, target, version
        self.any_change = version is None
        self.any_version, self.take_over = any_version, take_over
        self.manifest = read_unstamped(folder)
        self.data = {path: Blob(folder / path, facts["sha256"], facts["bytes"])
                     for path, facts in self.manifest["files"].items()}
        self._compared: dict[Version, Diff] = {}

    def preview(self) -> Published:
        """What `advance` would do."""
        try:
            plan = self._look()
        except Absent:
            plan = self._plan({}, None)
        return self._result(plan, None)

    def advance(self, pr: bool) -> Published:
        """Look, and take every step that is still missing."""
        plan = self._look()
        commit = plan.tagged or plan.head
        if not plan.tagged and (plan.add or plan.delete or commit is None):
            self._refuse_unfinished(plan)
            if pr:
                proposed, request = self._propose(plan, "Publish")
                return self._result(proposed, None)._replace(pull_request=request.address)
            if self.target.repo and not fits_one_commit(plan.add):
                self.target.merge(self._propose(plan, "Upload")[1])
                raise Moved(f"{self.target.name} took an upload in parts")
            commit = self.target.commit(plan.add, plan.delete, f"Publish v{plan.version}", plan.head,
                                        plan.bundle.files)
        assert commit is not None
        verify(self.target, plan.bundle, commit)
        if not plan.tagged:
            self.target.tag(parse_version(plan.version), commit)
        self.target.settle()
        plan.bundle.keep(self.folder)
        return self._result(plan, commit)

    def _propose(self, plan: _Plan, verb: str) -> tuple[_Plan, Request]:
        """Put the plan into the open pull request, or into a new one; one that nobody reviews holds nothing else."""
        request = self.target.request(verb)
        if request:
            plan = self._plan(self.target.versions(), plan.head, request)
            if verb == "Upload":
                before = self.target.checksums(plan.head) if plan.head else {}
                left = self.target.checksums(request.commit).keys() - before.keys() - plan.bundle.files.keys()
                plan = plan._replace(delete=sorted(left.union(plan.delete)))
        return plan, self.target.propose(plan.add, plan.delete, f"{verb} v{plan.version}",
                                         request.commit if request else plan.head, request)

    def _look(self) -> _Plan:
        return self._plan(self.target.versions(), self.target.head())

    def _plan(self, versions: dict[Version, str], head: str | None, request: Request | None = None) -> _Plan:
        """What is missing behind the newest commit, or in an open pull request."""
        newest = max(versions, default=None)
        if self.version is None:
            self.version = self._propose_version(newest, versions)
        tagged = versions.get(self.version)
        parent = max((other for other in versions if other < self.version), default=None)
        changes, kind = self._changes(parent, versions)
        if tagged is None:
            self._refuse_version(newest, kind)
        stamps = {"version": str(self.version), "parent": parent and str(parent), "changes": changes}
        if self.target.repo:
            stamps["repo"] = self.target.repo
        base = tagged or (request.commit if request else head)
        cards = [self._card_at(commit, versions) for commit in dict.fromkeys((tagged or head, base)) if commit]
        bundle = make_bundle(self.folder, self.manifest, self.data, stamps, [card for card in cards if card])
        there = self.target.checksums(base) if base else {}
        add = {path: blob for path, blob in bundle.files.items() if not blob.is_at(there.get(path))}
        if tagged and add and self.any_change and newest:  # the same data, and another card or manifest
            self.version = propose_version(newest, None)
            return self._plan(versions, head, request)
        if tagged and add:
            raise self._clash(tagged, min(add), newest, versions)
        stale = self._listed(base) & (there.keys() - bundle.files.keys()) if base and not tagged else set()
        return _Plan(bundle, add, sorted(stale), head, tagged)

    def _propose_version(self, newest: Version | None, versions: dict[Version, str]) -> Version:
        """The lowest version that the change demands; the newest itself where the data are the same."""
        _, kind = self._changes(newest, versions)
        return newest if newest and kind is None else propose_version(newest, kind)

    def _clash(self, tagged: str, path: str, newest: Version | None, versions: dict[Version, str]) -> PublishError:
        """Why the version cannot be published, which settings made it another, and which number would do."""
        settings = changed_settings(self._manifest_at(tagged), self.manifest)
        _, kind = self._changes(newest, versions)
        because = f"{path} differs" + (f"; changed since: {', '.join(settings)}" if settings else "")
        return PublishError(f"{self.target.name} has v{self.version} with other content ({because}); a published "
                            f"version is never changed: publish as {propose_version(newest, kind)}, or let the change "
                            "choose the number (`release.version: auto`, or no --version)")

    def _refuse_version(self, newest: Version | None, kind: str | None) -> None:
        assert self.version is not None
        if newest and self.version < newest:
            raise PublishError(f"{self.target.name} already has v{newest}, which is higher than {self.version}; "
                               f"publish as {propose_version(newest, kind)} or higher")
        if not self.any_version:
            demand_version(self.version, newest, kind)

    def _changes(self, parent: Version | None, versions: dict[Version, str]) -> tuple[dict[str, dict], str | None]:
        """Changes since the parent version, and of which kind they are."""
        if parent is None:
            return {}, None
        if parent not in self._compared:
            before = read_version(self.target, versions[parent], f"v{parent}")
            self._compared[parent] = compare_versions(before, Stored(self.manifest, lambda paths: self.folder))
        return self._compared[parent].summary(), self._compared[parent].kind

    def _card_at(self, commit: str, versions: dict[Version, str]) -> There | None:
        """The card at a commit, and what the tool wrote there last: the manifest says it, but for old versions, whose
        card is the tool's own."""
        content = self.target.read(commit, CARD)
        if content is None:
            return None
        where, manifest = f"{CARD} at {self.target.name}", self._manifest_at(commit)
        if kept := manifest.get("card"):
            written = Written(**{name: kept[name] for name in Written._fields if name in kept})
        else:
            tag = versions.get(parse_tag(str(manifest.get("version"))) or Version(0, 0, 0))
            first = self.target.read(tag, CARD) if tag else None
            written = Written.of(parse_card(first.decode(errors="replace"), where)) if first else Written()
        return There(content.decode(errors="replace"), where, written)

    def _listed(self, head: str) -> set[str]:
        """Files that the newest commit's own manifest lists: ours to delete. Others in the repository stay."""
        return set(self._manifest_at(head).get("files", {}))

    def _refuse_unfinished(self, plan: _Plan) -> None:
        """Refuse to bury a commit that another run made and has not tagged yet."""
        if plan.head is None or self.take_over:
            return
        there = str(self._manifest_at(plan.head).get("version"))
        ours = self.target.read(plan.head, MANIFEST) == plan.bundle.files[MANIFEST].content()
        if ours or there in ("None", *map(str, self.target.versions())):
            return
        raise PublishError(
            f"{self.target.name} holds a commit for v{there} with other content that has no tag: another run is "
            "publishing, or was stopped. Let it finish or run it again; to replace it, use --take-over")

    def _manifest_at(self, commit: str) -> dict:
        try:
            return parse_manifest(self.target.read(commit, MANIFEST) or b"", commit)
        except ManifestError:
            return {}

    def _result(self, plan: _Plan, commit: str | None) -> Published:
        added = sum(blob.size for blob in plan.add.values())
        return Published(plan.version, commit, len(plan.bundle.files), added, plan.bundle.manifest["changes"],
                         plan.tagged is not None, notes=(*plan.bundle.notes, *self._leaks(plan)))

    def _leaks(self, plan: _Plan) -> Iterator[str]:
        """What to say where the version trains on problems that its parent holds out."""
        parent = plan.bundle.manifest["parent"]
        if parent and (leak := self._compared[parse_version(parent)].leak):
            yield f"v{parent} to v{plan.version}: {leak}"


