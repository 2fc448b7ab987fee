#include "plugin_host/plugin_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xxhash.h>

#include <cerrno>
#include <cstring>

#include "base/absolute_path.h"
#include "plugin_host/elf_file.h"
#include "plugin_host/stamp.h"
#include "triga/error.h"

namespace triga {
namespace {

constexpr uint32_t kStampNoteType = 1;

class Descriptor {
 public:
  explicit Descriptor(int number) : number_(number) {}
  ~Descriptor() {
    if (number_ >= 0) ::close(number_);
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  operator int() const { return number_; }  // NOLINT: it is one

 private:
  int number_;
};

[[noreturn]] void throw_errno() {
  throw PluginError(std::strerror(errno));
}

/// The whole file. Throws: PluginError.
std::string read_bytes(const std::filesystem::path& path) {
  const Descriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (file < 0) throw_errno();
  struct stat info {};
  if (::fstat(file, &info) != 0) throw_errno();
  if (S_ISDIR(info.st_mode)) throw PluginError("it is a folder, not a shared library");
  if (!S_ISREG(info.st_mode)) throw PluginError("it is not a file");
  std::string bytes(static_cast<size_t>(info.st_size), '\0');
  size_t num_read = 0;
  while (num_read < bytes.size()) {
    const auto count = ::read(file, bytes.data() + num_read, bytes.size() - num_read);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) throw_errno();
    if (count == 0) break;
    num_read += static_cast<size_t>(count);
  }
  bytes.resize(num_read);
  return bytes;
}

void check_stamp(const ElfFile& elf) {
  const auto text = elf.note("Triga", kStampNoteType);
  if (!text)
    throw PluginError(
        "it is a shared library, but not a plugin of Triga: no TRIGA_PLUGIN put a stamp into it");
  const auto found = mismatches(Stamp::parse(*text), Stamp::of_host());
  if (found.empty()) return;
  std::string message = found[0];
  for (size_t i = 1; i < found.size(); ++i) message += "\n  also: " + found[i];
  throw PluginError(message);
}

std::string hash_of(const std::string& bytes) {
  XXH128_canonical_t canonical;
  XXH128_canonicalFromHash(&canonical, XXH3_128bits(bytes.data(), bytes.size()));
  std::string text;
  for (const unsigned char byte : canonical.digest) {
    text += "0123456789abcdef"[byte >> 4];
    text += "0123456789abcdef"[byte & 15];
  }
  return text;
}

}  // namespace

PluginFile PluginFile::inspect(const std::filesystem::path& path) {
  try {
    const auto bytes = read_bytes(path);
    check_stamp(ElfFile(bytes));
    return {absolute_path(path), hash_of(bytes)};
  } catch (const PluginError& error) {
    throw PluginError(c10::str(path.string(), " can not be opened as a plugin: ", error.what()));
  }
}

}  // namespace triga
