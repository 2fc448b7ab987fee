// bytes_tokenizer FOLDER: writes the files of the bytes tokenizer into the folder, and decodes
// token ids from standard input, a list a line, to JSON strings.
#include "data/bytes_tokenizer.h"

#include <filesystem>
#include <fstream>
#include <iostream>
#include <sstream>

int main(int, char** arguments) {
  const triga::BytesTokenizer tokenizer;
  for (const auto& [name, content] : tokenizer.files())
    std::ofstream(std::filesystem::path(arguments[1]) / name) << content;
  for (std::string line; std::getline(std::cin, line);) {
    std::istringstream numbers(line);
    std::vector<int32_t> tokens;
    for (int32_t token; numbers >> token;) tokens.push_back(token);
    const std::string text = tokenizer.decode(tokens);
    std::cout << text.size() << "\n" << text;
  }
}
