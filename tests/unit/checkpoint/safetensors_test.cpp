#include "checkpoint/safetensors.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <cstring>
#include <filesystem>

#include "checkpoint/checksum.h"
#include "checkpoint/safetensors_header.h"
#include "tests/support/temporary_folder.h"

namespace triga {
namespace {

using test::TemporaryFolder;

FileRecord write_file(const Path& folder, const std::string& name, const TensorsByName& tensors,
                      const Metadata& metadata = {{"format", "pt"}}) {
  ChecksummedFile file(posix_files(), folder, name);
  write_safetensors(file, tensors, metadata);
  return file.finish();
}

// A file of this header and so many bytes of data, each with the value 1.
Path write_raw(const Path& folder, const std::string& header, size_t data_bytes) {
  const uint64_t length = header.size();
  std::string text(reinterpret_cast<const char*>(&length), sizeof length);
  text += header + std::string(data_bytes, '\1');
  const Path path = folder / "raw.safetensors";
  atomic_write(posix_files(), path, text);
  return path;
}

std::string error_of(const Path& path) {
  try {
    SafetensorsFile file(posix_files(), path);
  } catch (const CheckpointError& error) {
    return error.what();
  }
  return "accepted";
}

TEST(Safetensors, ReadsBackEveryDtypeShapeAndStride) {
  TemporaryFolder folder;
  TensorsByName tensors = {
      {"scalar", at::scalar_tensor(3.5, at::kDouble)},
      {"empty", at::zeros({0, 4}, at::kInt)},
      {"bool", at::tensor({1, 0, 1}, at::kLong).to(at::kBool)},
      {"transposed", at::arange(6, at::kFloat).view({2, 3}).t()},
      {"strange name \"\\ \xc3\xa4", at::ones({1}, at::kChar)},
  };
  for (auto dtype : {at::kDouble, at::kFloat, at::kHalf, at::kBFloat16, at::kLong, at::kInt,
                     at::kShort, at::kChar, at::kByte, at::kUInt16, at::kUInt32, at::kUInt64,
                     at::kFloat8_e5m2, at::kFloat8_e4m3fn, at::kComplexFloat})
    tensors[c10::str("dtype ", dtype)] = at::arange(0, 7, at::kFloat).to(dtype);
  const auto record = write_file(folder.path(), "a.safetensors", tensors);

  const SafetensorsFile file(posix_files(), folder.path() / "a.safetensors");
  EXPECT_EQ(file.metadata(), (Metadata{{"format", "pt"}}));
  ASSERT_EQ(file.tensors().size(), tensors.size());
  EXPECT_EQ(record.bytes, safetensors_bytes(tensors, {{"format", "pt"}}));
  EXPECT_EQ(record.bytes, std::filesystem::file_size(folder.path() / "a.safetensors"));
  for (const auto& [name, expected] : tensors) {
    const TensorInfo* info = file.find(name);
    ASSERT_NE(info, nullptr) << name;
    const auto read = file.read(*info);
    ASSERT_EQ(read.scalar_type(), expected.scalar_type()) << name;
    ASSERT_EQ(read.sizes(), expected.sizes()) << name;
    const auto contiguous = expected.contiguous();
    EXPECT_EQ(std::memcmp(read.const_data_ptr(), contiguous.const_data_ptr(), read.nbytes()), 0)
        << name;
    EXPECT_EQ(info->offset % c10::elementSize(info->dtype), 0u) << name;
  }
}

// So the disk can take them as they lie in memory.
TEST(Safetensors, WholePagesComeFirstAtTheBeginningOfPages) {
  TemporaryFolder folder;
  write_file(folder.path(), "a.safetensors",
             {{"a", at::ones({3}, at::kDouble)},
              {"pages", at::ones({2, 1024})},
              {"bytes", at::ones({4096}, at::kByte)},
              {"z", at::ones({1025})}});
  const SafetensorsFile file(posix_files(), folder.path() / "a.safetensors");
  std::vector<std::string> names;
  for (const TensorInfo& info : file.tensors()) names.push_back(info.name);
  EXPECT_EQ(names, (std::vector<std::string>{"pages", "bytes", "a", "z"}));
  EXPECT_EQ(file.tensors()[0].offset % kDirectAlignment, 0u);
  EXPECT_EQ(file.tensors()[1].offset % kDirectAlignment, 0u);
}

TEST(Safetensors, ReadsARangeOfElements) {
  TemporaryFolder folder;
  write_file(folder.path(), "a.safetensors",
             {{"x", at::arange(100, at::kFloat).view({10, 10})}, {"y", at::ones({3})}});
  const SafetensorsFile file(posix_files(), folder.path() / "a.safetensors");
  auto destination = at::empty({4}, at::kFloat);
  file.read_range(*file.find("x"), 37, destination);
  EXPECT_TRUE(destination.equal(at::arange(37, 41, at::kFloat)));
  EXPECT_THROW(file.read_range(*file.find("x"), 97, destination), Error);
}

TEST(Safetensors, RefusesABoolThatIsNeitherZeroNorOne) {
  TemporaryFolder folder;
  const std::string header = R"({"b":{"dtype":"BOOL","shape":[2],"data_offsets":[0,2]}})";
  const uint64_t length = header.size();
  atomic_write(posix_files(), folder.path() / "b",
               std::string(reinterpret_cast<const char*>(&length), 8) + header + "\1\2");
  const SafetensorsFile file(posix_files(), folder.path() / "b");
  EXPECT_THROW(file.read(*file.find("b")), CheckpointError);
}

TEST(Safetensors, AcceptsAHandWrittenFile) {
  TemporaryFolder folder;
  const auto path =
      write_raw(folder.path(), R"({"b":{"dtype":"U8","shape":[2],"data_offsets":[4,6]},
      "a":{"shape":[1],"dtype":"I32","data_offsets":[0,4]},"z":{"dtype":"F64","shape":[0],"data_offsets":[4,4]}} )",
                6);
  const SafetensorsFile file(posix_files(), path);
  EXPECT_EQ(file.read(*file.find("a")).item<int>(), 0x01010101);
  EXPECT_EQ(file.read(*file.find("b")).sum().item<int>(), 2);
  EXPECT_EQ(file.read(*file.find("z")).numel(), 0);
}

// Each is one lie; the message has to name it.
TEST(Safetensors, RefusesEveryLieOfAHeader) {
  struct Case {
    const char* header;
    size_t data_bytes;
    const char* message;
  };
  const Case cases[] = {
      {"", 0, "does not begin with '{'"},
      {"[]", 0, "does not begin with '{'"},
      {"{", 0, "not JSON"},
      {"{} {}", 0, "not JSON"},
      {R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}})", 3, "do not lie in the 3 bytes"},
      {R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}})", 5,
       "1 bytes at its end belong to no tensor"},
      {R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[1,5]}})", 5, "leaves a gap"},
      {R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[4,0]}})", 4, "do not lie"},
      {R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[0,4]}})", 4, "does not take the 4 bytes"},
      {R"({"a":{"dtype":"F33","shape":[1],"data_offsets":[0,4]}})", 4, "'F33' is not known"},
      {R"({"a":{"dtype":"F32","shape":[-1],"data_offsets":[0,4]}})", 4, "negative number"},
      {R"({"a":{"dtype":"F32","shape":[1.0],"data_offsets":[0,4]}})", 4, "not a count"},
      {R"({"a":{"dtype":"F32","shape":[9223372036854775808],"data_offsets":[0,4]}})", 4,
       "too large"},
      {R"({"a":{"dtype":"F32","shape":[4294967296,4294967296],"data_offsets":[0,0]}})", 0,
       "does not take"},
      {R"({"a":{"dtype":"F32","shape":[0,4294967296,4294967296],"data_offsets":[0,0]}})", 0,
       "does not take"},
      {R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[0,18446744073709551616]}})", 4,
       "not a count"},
      {R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[0]}})", 4, "data_offsets of two numbers"},
      {R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4,4]}})", 4,
       "data_offsets of two numbers"},
      {R"({"a":{"dtype":"F32","data_offsets":[0,4]}})", 4, "needs dtype, shape"},
      {R"({"a":{"shape":[1],"data_offsets":[0,4]}})", 4, "needs dtype, shape"},
      {R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4],"more":[1]}})", 4, "a list where"},
      {R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4],"more":"x"}})", 4, "a string where"},
      {R"({"a":{"dtype":"F32","shape":[[1]],"data_offsets":[0,4]}})", 4, "a list where"},
      {R"({"a":{"dtype":"F32","shape":[{}],"data_offsets":[0,4]}})", 4, "an object where"},
      {R"({"a":{"dtype":"F32","shape":[null],"data_offsets":[0,4]}})", 4, "null where"},
      {R"({"a":{"dtype":true,"shape":[1],"data_offsets":[0,4]}})", 4, "true or false where"},
      {R"({"a":[]})", 0, "a list where"},
      {R"({"a":7})", 0, "a number where"},
      {R"({"a":{"dtype":"F32","dtype":"F32","shape":[1],"data_offsets":[0,4]}})", 4,
       "'dtype' is there twice"},
      {R"({"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},"a":{"dtype":"U8","shape":[1],"data_offsets":[1,2]}})",
       2, "'a' is there twice"},
      {R"({"a":{"dtype":"U8","shape":[2],"data_offsets":[0,2]},"b":{"dtype":"U8","shape":[2],"data_offsets":[1,3]}})",
       3, "overlaps"},
      {R"({"__metadata__":{"a":1}})", 0, "a number where"},
      {R"({"__metadata__":{"a":{}}})", 0, "an object where"},
      {R"({"__metadata__":"x"})", 0, "a string where"},
      {R"({"__metadata__":{},"__metadata__":{}})", 0, "is there twice"},
      {"{\"\xff\":{}}", 0, "not JSON"},
      {"{\"\xc0\xaf\":{}}", 0, "not JSON"},
  };
  TemporaryFolder folder;
  for (const auto& test : cases) {
    const auto error = error_of(write_raw(folder.path(), test.header, test.data_bytes));
    EXPECT_NE(error.find(test.message), std::string::npos) << test.header << "\n  " << error;
    EXPECT_NE(error.find("raw.safetensors"), std::string::npos) << error;
  }
  EXPECT_NE(error_of(write_raw(folder.path(), std::string("{}\0{", 4), 0)).find("zero byte"),
            std::string::npos);
}

TEST(Safetensors, RefusesAFileShorterThanItsLengths) {
  TemporaryFolder folder;
  const auto path = folder.path() / "short.safetensors";
  for (const std::string& text :
       {std::string("1234567"), std::string("\xff\xff\xff\xff\xff\xff\xff\xff{}", 10),
        std::string("\x0b\0\0\0\0\0\0\0{}", 10)}) {
    atomic_write(posix_files(), path, text);
    EXPECT_NE(error_of(path), "accepted");
  }
  EXPECT_NE(error_of(folder.path() / "absent").find("No such file"), std::string::npos);
}

TEST(Safetensors, RefusesToWriteADtypeThatTheFormatLacks) {
  TemporaryFolder folder;
  EXPECT_THROW(write_file(folder.path(), "a", {{"x", at::zeros({1}, at::kComplexDouble)}}),
               CheckpointError);
}

}  // namespace
}  // namespace triga
