// bench_learn_bpe LIST VOCAB_SIZE: learns a byte-level vocabulary, with one special token, from the
// files that LIST names, one a line. Prints {"seconds", "bytes", "merges"}: seconds of the processor, of the one thread
// that works; the files are read before.
// Its counterpart is pytorch/learn_bpe.py.
#include <ctime>
#include <fstream>
#include <iostream>
#include <iterator>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "data/bpe_training.h"
#include "data/byte_level.h"

int main(int count, char** arguments) {
  if (count != 3) return 2;
  std::ifstream list(arguments[1]);
  std::vector<std::string> texts;
  size_t num_bytes = 0;
  for (std::string path; std::getline(list, path);) {
    std::ifstream file(path, std::ios::binary);
    texts.emplace_back(std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>());
    num_bytes += texts.back().size();
  }

  const std::clock_t begin = std::clock();
  triga::BytePairTraining training;
  for (const std::string& text : texts) training.add(text);
  triga::BytePairTraining::Options options;
  options.special_tokens = {"<|endoftext|>"};
  options.vocab_size = std::stoll(arguments[2]);
  const triga::BytePairTraining::Learned learned = training.train(options);
  const double seconds = static_cast<double>(std::clock() - begin) / CLOCKS_PER_SEC;

  std::vector<std::string> merges;
  for (const auto& [left, right] : learned.merges)
    merges.push_back(triga::name_of_bytes(learned.tokens[static_cast<size_t>(left)]) + ' ' +
                     triga::name_of_bytes(learned.tokens[static_cast<size_t>(right)]));
  std::cout << nlohmann::json{{"seconds", seconds}, {"bytes", num_bytes}, {"merges", merges}}
            << '\n';
}
