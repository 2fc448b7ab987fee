#include "metrics/tensorboard.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <bit>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <protozero/pbf_writer.hpp>

#include "metrics/crc32c.h"

namespace triga {
namespace {

static_assert(std::endian::native == std::endian::little,
              "event files are written as they lie in memory");

constexpr std::string_view kPrefix = "events.out.tfevents.";
constexpr int kSessionStart = 1;  // SessionLog.SessionStatus.START

template <class T>
std::string raw(T value) {
  std::string bytes(sizeof value, '\0');
  std::memcpy(bytes.data(), &value, sizeof value);
  return bytes;
}

/// What the record format stores for a CRC, so that a CRC over data that holds CRCs is not weak.
uint32_t masked(uint32_t crc) {
  return std::rotr(crc, 15) + 0xA282EAD8;
}

/// A new name that sorts after those there: TensorBoard reads files by name.
std::string new_file(const std::string& folder, double now) {
  auto seconds = static_cast<int64_t>(now);
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(folder, error)) {
    const std::string name = entry.path().filename().string();
    if (name.starts_with(kPrefix))
      seconds = std::max<int64_t>(seconds, std::atoll(name.c_str() + kPrefix.size()) + 1);
  }
  char host[256] = "localhost";
  gethostname(host, sizeof host - 1);
  return (std::filesystem::path(folder) /
          fmt::format("{}{:010}.{}.{}", kPrefix, seconds, host, getpid()))
      .string();
}

/// An Event with its time and step; `add` puts in the rest.
template <class F>
std::string make_event(double time, int64_t step, const F& add) {
  std::string event;
  protozero::pbf_writer writer(event);
  writer.add_double(1, time);
  if (step != 0) writer.add_int64(2, step);
  add(writer);
  return event;
}

/// Big endian, as PNG has them.
uint32_t png_number(std::string_view bytes) {
  uint32_t number = 0;
  for (const char byte : bytes.substr(0, 4)) number = number << 8 | static_cast<uint8_t>(byte);
  return number;
}

/// Summary.Image of a PNG file, whose header begins: signature, length and name of the first chunk,
/// width, height, depth, type of colour.
void add_image(protozero::pbf_writer& value, std::string_view png) {
  constexpr int kColorspaces[] = {1, 0, 3, 3, 2, 0, 4};  // grey, RGB, palette, grey and RGBA
  constexpr size_t kWidth = 16, kHeight = 20, kColour = 25;
  protozero::pbf_writer image(value, 4);
  image.add_int32(1, static_cast<int32_t>(png_number(png.substr(kHeight))));
  image.add_int32(2, static_cast<int32_t>(png_number(png.substr(kWidth))));
  image.add_int32(3, kColorspaces[std::min<size_t>(static_cast<uint8_t>(png[kColour]), 6)]);
  image.add_string(4, png.data(), png.size());
}

bool is_png(std::string_view content) {
  constexpr size_t kHeaderEnd = 33;
  return content.starts_with("\x89PNG\r\n\x1A\n") && content.size() >= kHeaderEnd;
}

/// What TensorBoard's text page shows: Markdown. As an indented block, whose lines stay as they are.
std::string as_markdown(std::string_view text) {
  std::string markdown;
  bool is_start = true;
  for (const char character : text) {
    if (is_start) markdown += "    ";
    markdown += character;
    is_start = character == '\n';
  }
  return markdown;
}

/// A tensor of one string, of the plugin for text.
void add_text(protozero::pbf_writer& value, std::string_view text) {
  constexpr int kString = 7;  // DataType.DT_STRING
  {
    protozero::pbf_writer metadata(value, 9), plugin(metadata, 1);
    plugin.add_string(1, "text");
  }
  protozero::pbf_writer tensor(value, 8);
  tensor.add_enum(1, kString);
  {
    protozero::pbf_writer shape(tensor, 2), dimension(shape, 2);
    dimension.add_int64(1, 1);
  }
  const std::string markdown = as_markdown(text);
  tensor.add_string(8, markdown);
}

bool has_other_files(const std::string& file) {
  const std::filesystem::path folder = std::filesystem::path(file).parent_path();
  return std::distance(std::filesystem::directory_iterator(folder), {}) > 1;
}

}  // namespace

double wall_clock() {
  return std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();
}

TensorBoardSink::TensorBoardSink(const std::string& folder, int64_t last_step,
                                 std::function<double()> clock)
    : clock_(std::move(clock)), path_(new_file(folder, clock_())), file_(path_) {
  append_event(make_event(clock_(), 0, [](auto& event) { event.add_string(3, "brain.Event:2"); }));
  if (!has_other_files(path_)) return;
  // What earlier starts wrote of later steps is forgotten, as in metrics.jsonl.
  append_event(make_event(clock_(), last_step + 1, [](auto& event) {
    protozero::pbf_writer session_log(event, 7);
    session_log.add_enum(1, kSessionStart);
  }));
}

void TensorBoardSink::record(const MetricRecord& record) {
  const std::string group = record.split.empty() ? "train" : record.split;
  append_event(make_event(clock_(), record.step, [&](auto& event) {
    protozero::pbf_writer summary(event, 5);
    for (const auto& [name, number] : record.values) {
      protozero::pbf_writer value(summary, 1);
      value.add_string(1, group + "/" + name);
      value.add_float(2, static_cast<float>(number));
    }
  }));
}

void TensorBoardSink::record_samples(const SampleRecord& samples) {
  append_event(make_event(clock_(), samples.step, [&](auto& event) {
    protozero::pbf_writer summary(event, 5);
    if (!samples.text.empty()) {
      protozero::pbf_writer value(summary, 1);
      value.add_string(1, "samples/text");
      add_text(value, samples.text);
    }
    for (const auto& [name, content] : samples.files) {
      if (!is_png(content)) continue;
      protozero::pbf_writer value(summary, 1);
      value.add_string(1, "samples/" + std::filesystem::path(name).stem().string());
      add_image(value, content);
    }
  }));
}

void TensorBoardSink::append_event(const std::string& event) {
  const std::string length = raw(static_cast<uint64_t>(event.size()));
  file_.append(length + raw(masked(crc32c(length))) + event + raw(masked(crc32c(event))));
}

}  // namespace triga
