#include "checkpoint/writer.h"

#include <algorithm>
#include <set>

#include <fmt/format.h>

#include "checkpoint/guard.h"
#include "checkpoint/layout.h"
#include "checkpoint/reader.h"
#include "comm/local_communicator.h"

namespace triga {
namespace {

// What the manifest, folders and the disk's own bookkeeping may take beside the files.
constexpr uint64_t kSpaceMarginBytes = uint64_t{4} << 20;

Path with_suffix(const Path& path, std::string_view suffix) {
  return path.string() + std::string(suffix);
}

// Gone for every reader at once, then from the disk.
void remove_checkpoint(FileSystem& files, const Path& directory) {
  const Path trash = with_suffix(directory, kTrashSuffix);
  remove_all(files, trash);
  files.rename(directory, trash);
  files.sync_directory(
      directory.parent_path());  // else a crash could leave it visible with files missing
  remove_all(files, trash);
}

// Where the series of spikes began in which it was saved; 0: in none, or its state cannot be read.
int64_t first_spike_step(FileSystem& files, const Path& directory) {
  try {
    const Path file = directory / kStatePath;
    const auto state = training_state_from_json(read_text(files, file), file.string());
    return state.spikes_in_a_row > 0 ? state.first_spike_step : 0;
  } catch (const CheckpointError&) {
    return 0;
  } catch (const FileError& error) {
    if (!error.is_missing()) throw;
    return 0;
  }
}

// The manifest, if all files are there in their sizes. A disk that fails to answer is an error, not
// a broken checkpoint.
std::optional<Manifest> manifest_of_whole(FileSystem& files, const Path& directory) {
  try {
    auto manifest =
        manifest_from_json(read_text(files, directory / kManifestPath), directory.string());
    for (const auto& record : manifest.files)
      if (files.size(directory / record.path) != record.bytes) return std::nullopt;
    return manifest;
  } catch (const CheckpointError&) {
    return std::nullopt;
  } catch (const FileError& error) {
    if (!error.is_missing()) throw;
    return std::nullopt;
  }
}

// Folders of the draft that hold the files, deepest first, the draft itself last.
std::vector<Path> folders_of(const Manifest& manifest) {
  std::set<Path> folders = {Path(kManifestPath).parent_path()};
  for (const auto& record : manifest.files)
    for (Path folder = Path(record.path).parent_path(); !folder.empty();
         folder = folder.parent_path())
      folders.insert(folder);
  std::vector<Path> ordered(folders.rbegin(),
                            folders.rend());  // a folder sorts before what is in it
  ordered.push_back("");
  return ordered;
}

}  // namespace

CheckpointDraft::CheckpointDraft(FileSystem& files, Path checkpoints, int64_t step,
                                 std::string_view start)
    : files_(files),
      checkpoints_(std::move(checkpoints)),
      directory_(checkpoints_ / checkpoint_name(step)),
      draft_(checkpoints_ / draft_name(step, start)) {}

void CheckpointDraft::begin() {
  remove_all(files_, draft_);
  files_.make_directory(draft_);
}

FileRecord CheckpointDraft::write(const CheckpointPart& part) {
  Path folder = draft_;
  for (const auto& name : Path(part.path).parent_path()) files_.make_directory(folder /= name);
  ChecksummedFile file(files_, draft_, part.path, part.bytes());
  part.write(file);
  return file.finish();
}

void CheckpointDraft::commit(Manifest manifest) {
  std::sort(manifest.files.begin(), manifest.files.end(),
            [](const FileRecord& a, const FileRecord& b) { return a.path < b.path; });
  CheckpointPart part;
  part.path = kManifestPath;
  part.text = to_json(manifest);
  write(part);
  for (const auto& folder : folders_of(manifest))
    files_.sync_directory(folder.empty() ? draft_ : draft_ / folder);

  const Path replaced = with_suffix(directory_, kReplacedSuffix);
  const bool replaces = exists(files_, directory_);
  if (replaces) {
    remove_all(files_, replaced);
    files_.rename(directory_, replaced);
  }
  try {
    files_.rename(draft_, directory_);
    files_.sync_directory(checkpoints_);
  } catch (const FileError&) {
    if (!exists(files_, draft_)) files_.rename(directory_, draft_);
    if (replaces) files_.rename(replaced, directory_);
    throw;
  }
}

void CheckpointDraft::discard() {
  try {
    remove_all(files_, draft_);
  } catch (const FileError&) {  // the next start clears it
  }
}

CheckpointWriter::CheckpointWriter(FileSystem& files, Path checkpoints, WriterOptions options,
                                   bool is_first)
    : files_(files), checkpoints_(std::move(checkpoints)), options_(std::move(options)) {
  if (!is_first) return;
  try {
    make_directories(files_, checkpoints_);
    clear_leftovers();
    tidy(std::nullopt);
  } catch (const FileError& error) {
    throw CheckpointError(
        fmt::format("cannot use {} for checkpoints: {}", checkpoints_.string(), error.what()));
  }
}

Path CheckpointWriter::save(const Snapshot& snapshot) {
  const auto alone = make_single_communicator();
  return save(snapshot, *alone);
}

Path CheckpointWriter::save(const Snapshot& snapshot, Communicator& ranks) {
  CheckpointSave save(*this, snapshot, ranks);
  save.write();
  save.agree_written(ranks);
  save.commit();
  return save.finish(ranks);
}

void CheckpointWriter::remove_after(int64_t step) {
  as_checkpoint([&] {
    for (const auto& name : files_.list(checkpoints_))
      if (const auto found = step_of(name); found && *found > step)
        remove_checkpoint(files_, checkpoints_ / name);
    tidy(step);
  });
}

std::vector<std::string> CheckpointWriter::take_warnings() {
  return std::exchange(warnings_, {});
}

void CheckpointWriter::check_space(uint64_t bytes) {
  const uint64_t needed = kSpaceMarginBytes + bytes;
  const uint64_t free = files_.free_space(checkpoints_);
  if (free < needed)
    throw FileError(fmt::format("put {} bytes, with {} free, into", needed, free), checkpoints_,
                    ENOSPC);
}

// What an interrupted save left: drafts, trash, and the one that it was about to replace.
void CheckpointWriter::clear_leftovers() {
  for (const auto& name : files_.list(checkpoints_)) {
    const Path path = checkpoints_ / name;
    const bool is_link_draft = name.starts_with(".latest.") || name.starts_with(".best.");
    if (is_link_draft || name.ends_with(kTrashSuffix)) {
      remove_all(files_, path);
    } else if (step_of_draft(name)) {
      remove_checkpoint(files_, path);  // renamed first: a rank of a dead start may still write
    } else if (const auto step = step_of(name, kReplacedSuffix)) {
      const Path successor = checkpoints_ / checkpoint_name(*step);
      if (exists(files_, successor)) {
        remove_checkpoint(files_, path);
      } else {
        files_.rename(path, successor);
        files_.sync_directory(checkpoints_);
      }
    }
  }
}

// Points the links to the newest and the best, then removes what need not stay. `known_good`: just
// written by this writer.
void CheckpointWriter::tidy(std::optional<int64_t> known_good) {
  std::vector<CheckpointSummary> whole;  // by their manifests and sizes; broken ones are left alone
  for (const auto& name : files_.list(checkpoints_))
    if (const auto step = step_of(name))
      if (const auto manifest = manifest_of_whole(files_, checkpoints_ / name))
        whole.push_back({*step, manifest->metrics});
  if (whole.empty()) return;

  auto keep = steps_to_keep(whole, options_.retention);
  const auto best =
      options_.retention.keep_best ? best_step(whole, *options_.retention.keep_best) : std::nullopt;
  point_link(kLatestLink, known_good.value_or(*keep.rbegin()));
  point_link(kBestLink, best);
  files_.sync_directory(checkpoints_);  // before what they pointed to goes

  if (known_good) keep.insert(*known_good);
  if (keep.size() == whole.size()) return;
  for (auto& checkpoint : whole)
    checkpoint.first_spike_step =
        first_spike_step(files_, checkpoints_ / checkpoint_name(checkpoint.step));
  keep_ways_back(whole, keep);
  std::vector<int64_t> removable;
  for (const auto& checkpoint : whole)
    if (!keep.contains(checkpoint.step)) removable.push_back(checkpoint.step);
  if (removable.empty()) return;
  if (!known_good && !any_verifies(keep)) {
    warnings_.push_back("none of the checkpoints to keep verifies, so the others stay as well");
    return;
  }
  for (int64_t step : removable) remove_checkpoint(files_, checkpoints_ / checkpoint_name(step));
}

bool CheckpointWriter::any_verifies(const std::set<int64_t>& steps) {
  return std::any_of(steps.rbegin(), steps.rend(), [&](int64_t step) {
    return verify_checkpoint(files_, checkpoints_ / checkpoint_name(step)).empty();
  });
}

void CheckpointWriter::point_link(const std::string& link, std::optional<int64_t> step) {
  const Path path = checkpoints_ / link;
  const bool is_there = exists(files_, path);
  if (!step) {
    if (is_there) files_.remove_file(path);
    return;
  }
  const auto target = checkpoint_name(*step);
  if (!is_there || files_.kind(path) != FileKind::kLink || files_.read_link(path) != target)
    replace_link(files_, target, path);
}

}  // namespace triga
