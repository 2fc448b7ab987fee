#include "checkpoint/manifest.h"

#include <algorithm>
#include <cmath>
#include <set>

#include <fmt/format.h>

#include "checkpoint/guard.h"
#include "checkpoint/json.h"

namespace triga {
namespace {

constexpr char kFormat[] = "triga-checkpoint";
constexpr int64_t kVersion = 1;

// The file ends with `"xxh3_128": "<32 digits>"\n}\n`. The checksum is that of the whole file with
// zeros for its digits.
constexpr size_t kDigits = 32;
constexpr std::string_view kEnd = "\"\n}\n";

std::string with_zeros(std::string text) {
  std::fill_n(text.end() - kEnd.size() - kDigits, kDigits, '0');
  return text;
}

FileRecord record_from_json(const std::string& path, const Json& json, const std::string& where) {
  if (!is_path_inside(path))
    throw CheckpointError(fmt::format("{}: '{:.80}' is not a path in the checkpoint", where, path));
  FileRecord record{path, json_member<uint64_t>(json, "bytes", where + ": " + path),
                    json_member<std::vector<std::string>>(json, "blocks", where + ": " + path)};
  const uint64_t num_blocks =
      record.bytes / kChecksumBlockBytes + (record.bytes % kChecksumBlockBytes != 0);
  if (record.blocks.size() != num_blocks)
    throw CheckpointError(fmt::format("{}: {} has {} checksums for {} bytes", where, path,
                                      record.blocks.size(), record.bytes));
  return record;
}

}  // namespace

bool is_path_inside(const std::string& path) {
  const Path parsed(path);
  return !path.empty() && parsed.is_relative() &&
         std::none_of(parsed.begin(), parsed.end(),
                      [](const Path& part) { return part == ".." || part == "." || part.empty(); });
}

std::string to_json(const Manifest& manifest) {
  Json files = Json::object();
  for (const auto& record : manifest.files)
    files[record.path] = {{"bytes", record.bytes}, {"blocks", record.blocks}};
  Json metrics = Json::object();
  for (const auto& [name, value] : manifest.metrics)
    if (std::isfinite(value)) metrics[name] = value;
  const Json json = {{"format", kFormat},
                     {"version", kVersion},
                     {"step", manifest.step},
                     {"metrics", std::move(metrics)},
                     {"environment", manifest.environment},
                     {"block_bytes", kChecksumBlockBytes},
                     {"files", std::move(files)},
                     {"xxh3_128", std::string(kDigits, '0')}};
  std::string text = json.dump(2) + "\n";
  const std::string digits = checksum_of(text);
  std::copy(digits.begin(), digits.end(), text.end() - kEnd.size() - kDigits);
  return text;
}

Manifest manifest_from_json(const std::string& text, const std::string& where) {
  const Json json = parse_json(text, where);
  if (json_member<std::string>(json, "format", where) != kFormat)
    throw CheckpointError(where + ": not the manifest of a checkpoint");
  if (const auto version = json_member<int64_t>(json, "version", where); version != kVersion)
    throw CheckpointError(fmt::format("{}: version {} of the format; this Triga reads version {}",
                                      where, version, kVersion));
  const auto digits = json_member<std::string>(json, "xxh3_128", where);
  if (digits.size() != kDigits || !text.ends_with(digits + std::string(kEnd)) ||
      checksum_of(with_zeros(text)) != digits)
    throw CheckpointError(where + ": its checksum of itself differs");
  if (json_member<uint64_t>(json, "block_bytes", where) != kChecksumBlockBytes)
    throw CheckpointError(fmt::format("{}: 'block_bytes' must be {}", where, kChecksumBlockBytes));

  Manifest manifest;
  manifest.step = json_member<int64_t>(json, "step", where);
  manifest.metrics = json_member<std::map<std::string, double>>(json, "metrics", where);
  manifest.environment = json_member<Environment>(json, "environment", where);
  if (!json.contains("files") || !json["files"].is_object())
    throw CheckpointError(where + ": 'files' is missing");
  for (const auto& [path, record] : json["files"].items())
    manifest.files.push_back(record_from_json(path, record, where));
  return manifest;
}

Manifest read_manifest(FileSystem& files, const Path& checkpoint) {
  return as_checkpoint([&] {
    const Path path = checkpoint / kManifestPath;
    return manifest_from_json(read_text(files, path), path.string());
  });
}

}  // namespace triga
