#include "data/sha256.h"

#include <fmt/format.h>
#include <openssl/evp.h>

#include <algorithm>
#include <array>

namespace triga {
namespace {

struct FreeContext {
  void operator()(EVP_MD_CTX* context) const { EVP_MD_CTX_free(context); }
};

}  // namespace

std::string sha256_of_file(FileSystem& files, const Path& path) {
  const std::unique_ptr<EVP_MD_CTX, FreeContext> context(EVP_MD_CTX_new());
  TRIGA_CHECK(context && EVP_DigestInit_ex(context.get(), EVP_sha256(), nullptr) == 1,
              "no SHA-256");
  const auto file = files.open(path);
  std::string chunk;
  for (uint64_t offset = 0; offset < file->size(); offset += chunk.size()) {
    chunk.resize(std::min<uint64_t>(file->size() - offset, 1 << 20));
    file->read(offset, chunk.data(), chunk.size());
    TRIGA_CHECK(EVP_DigestUpdate(context.get(), chunk.data(), chunk.size()) == 1, "SHA-256 of ",
                path.string());
  }
  std::array<unsigned char, EVP_MAX_MD_SIZE> digest;
  unsigned int size = 0;
  TRIGA_CHECK(EVP_DigestFinal_ex(context.get(), digest.data(), &size) == 1, "SHA-256 of ",
              path.string());
  return fmt::format("{:02x}", fmt::join(digest.begin(), digest.begin() + size, ""));
}

}  // namespace triga
