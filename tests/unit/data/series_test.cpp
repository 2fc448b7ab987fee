// Time series from CSV files, and the dataset kind `csv_series`.
#include "triga/series.h"

#include <ATen/ATen.h>
#include <gmock/gmock.h>

#include "config/yaml.h"
#include "data/series_kind.h"
#include "tests/support/message_of.h"
#include "tests/support/temporary_folder.h"

namespace triga {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::triga::test::message_of;
using ::triga::test::TemporaryFolder;

class SeriesTest : public testing::Test {
 protected:
  Series read(const std::string& content, const std::vector<std::string>& columns = {}) {
    return read_csv_series(folder_.write("a.csv", content), columns);
  }
  std::string refusal(const std::string& content, const std::vector<std::string>& columns = {}) {
    return message_of<DataError>([&] { read(content, columns); });
  }
  /// For a model that forecasts `horizon` rows.
  std::unique_ptr<Dataset> make(const std::string& options, int64_t horizon = 2) {
    Registry registry;
    register_csv_series(registry);
    const std::string file = "file: \"" + (folder_ / "a.csv") + "\"\n";
    DatasetContext context;
    context.horizon = horizon;
    return registry.datasets.kinds().at(0).create(parse_yaml(file + options, "test"), context);
  }
  static std::vector<float> values(const at::Tensor& tensor) {
    const at::Tensor flat = tensor.contiguous();
    return {flat.const_data_ptr<float>(), flat.const_data_ptr<float>() + flat.numel()};
  }
  TemporaryFolder folder_;
};

TEST_F(SeriesTest, TakesColumnsOfNumbersOrThoseNamed) {
  const std::string content = "date,a,b\r\n2020-01-01,1, -2.5 \r\n2020-01-02,3,4e2\r\n\n";
  const Series all = read(content);
  EXPECT_THAT(all.columns, ElementsAre("a", "b"));
  EXPECT_TRUE(at::equal(all.values, at::tensor({1.0, -2.5, 3.0, 400.0}, at::kDouble).view({2, 2})));
  const Series one = read(content, {"b", "a"});
  EXPECT_THAT(one.columns, ElementsAre("b", "a"));
  EXPECT_EQ(one.values[1][0].item<double>(), 400);
}

TEST_F(SeriesTest, NamesOfColumnsAreUtf8) {
  EXPECT_THAT(read("\xEF\xBB\xBFT\xC3\xA9m,b\n1,2\n").columns, ElementsAre("T\xC3\xA9m", "b"));
  EXPECT_THAT(refusal("T\xE9m,b\n1,2\n"),
              HasSubstr("a.csv:1: the name of column 1 is not UTF-8 text"));
  EXPECT_THAT(read("T\xE9m,b\n1,2\n", {"b"}).columns, ElementsAre("b"));
}

TEST_F(SeriesTest, NamesTheLineThatIsWrong) {
  EXPECT_THAT(refusal("a,b\n1,2\n3\n"), HasSubstr("a.csv:3: column 'b' is ''; expected a number"));
  EXPECT_THAT(refusal("a\n1\nx\n"), HasSubstr("a.csv:3: column 'a' is 'x'"));
  EXPECT_THAT(refusal("a\n1\nnan\n"), HasSubstr("column 'a' is 'nan'"));
  EXPECT_THAT(refusal("a\n"), HasSubstr("expected a line that names the columns"));
  EXPECT_THAT(refusal("a\nx\n"), HasSubstr("no column of numbers"));
  EXPECT_THAT(refusal("a,b\n1,2\n", {"c"}), HasSubstr("no column 'c'; there are a, b"));
}

TEST_F(SeriesTest, IsStandardisedByThePopulationsDeviation) {
  const auto by =
      standardisation_of(at::tensor({9.0, 1.0, 3.0, 9.0}, at::kDouble).view({4, 1}), 1, 3);
  EXPECT_EQ(by.mean.item<double>(), 2);
  EXPECT_EQ(by.deviation.item<double>(), 1);
  EXPECT_EQ(standardisation_of(at::ones({3, 1}, at::kDouble), 0, 3).deviation.item<double>(), 1);
}

TEST_F(SeriesTest, GivesAWindowForEachPlaceThatAForecastCanBeginAt) {
  folder_.write("a.csv", "a\n0\n1\n2\n3\n4\n5\n6\n7\n");
  const auto train = make("rows: {to: 5}\ninput_length: 2\nhorizon: 2\n");
  ASSERT_EQ(train->size(), 2);
  EXPECT_THAT(values(train->get(1)["input"]), ElementsAre(1, 2));
  EXPECT_THAT(values(train->get(1)["target"]), ElementsAre(3, 4));
  const auto test = make("rows: {from: 5}\ninput_length: 2\nhorizon: 2\n");
  ASSERT_EQ(test->size(), 2);
  EXPECT_THAT(values(test->get(0)["input"]), ElementsAre(3, 4));  // reaches back before its rows
  EXPECT_THAT(values(test->get(0)["target"]), ElementsAre(5, 6));
  EXPECT_NE(train->fingerprint(), test->fingerprint());
  const auto scaled = make("rows: {from: 5}\nstandardise: {to: 3}\ninput_length: 1\nhorizon: 1\n");
  EXPECT_FLOAT_EQ(values(scaled->get(0)["target"])[0], 4 / std::sqrt(2.f / 3));  // 0, 1, 2
}

TEST_F(SeriesTest, TellsWhoUsesTheModelHowItWasRead) {
  folder_.write("a.csv", "hour,b,a\nx,1,0.1\ny,2,0.3\nz,6,7\n");
  const auto reading_of = [&](const std::string& options) {
    return series_reading_of(make("input_length: 1\nhorizon: 1\n" + options)->model_files());
  };
  const auto plain = reading_of("");
  ASSERT_TRUE(plain.has_value());
  EXPECT_THAT(plain->columns, ElementsAre("b", "a"));
  EXPECT_EQ(plain->input_length, 1);
  EXPECT_TRUE(plain->by.mean.equal(at::zeros({2}, at::kDouble)));
  EXPECT_TRUE(plain->by.deviation.equal(at::ones({2}, at::kDouble)));
  const auto scaled = reading_of("columns: [a]\nstandardise: {to: 2}\n");
  const auto by = standardisation_of(at::tensor({0.1, 0.3}, at::kDouble).view({2, 1}), 0, 2);
  EXPECT_THAT(scaled->columns, ElementsAre("a"));
  EXPECT_TRUE(scaled->by.mean.equal(by.mean));  // to the bit
  EXPECT_TRUE(scaled->by.deviation.equal(by.deviation));
  EXPECT_FALSE(series_reading_of({{"config.json", "{}"}}).has_value());
}

TEST_F(SeriesTest, RefusesAFileThatDoesNotSayHowItWasRead) {
  const auto wrong = [](const std::string& content) {
    return message_of<CheckpointError>([&] { series_reading_of({{kSeriesFile, content}}); });
  };
  EXPECT_THAT(wrong("{"), HasSubstr("series.json: "));
  EXPECT_THAT(wrong("{}"), HasSubstr("'columns' not found"));
  EXPECT_THAT(wrong(R"({"columns": ["a"], "mean": [1, 2], "deviation": [1], "input_length": 3})"),
              HasSubstr("series.json: 1 columns with 2 means and 1 deviations"));
  EXPECT_THAT(wrong(R"({"columns": ["a"], "mean": [1], "deviation": [1], "input_length": 0})"),
              HasSubstr("series.json: an input_length of 0"));
}

TEST_F(SeriesTest, HorizonIsTheModelsWhereNoneIsGiven) {
  folder_.write("a.csv", "a\n0\n1\n2\n3\n4\n");
  const auto of_model = make("input_length: 1\n", 3);
  EXPECT_EQ(of_model->size(), 2);
  EXPECT_THAT(values(of_model->get(0)["target"]), ElementsAre(1, 2, 3));
  EXPECT_EQ(make("input_length: 1\nhorizon: model\n", 3)->fingerprint(), of_model->fingerprint());
  EXPECT_EQ(make("input_length: 1\nhorizon: 1\n", 3)->size(), 4);
  EXPECT_THAT(message_of<ConfigError>([&] { make("input_length: 1\n", 0); }),
              HasSubstr("needs a horizon"));
}

TEST_F(SeriesTest, SaysWhichRowsAreMissing) {
  folder_.write("a.csv", "a\n0\n1\n2\n");
  const auto wrong = [&](const std::string& options) {
    return message_of<DataError>([&] { make(options); });
  };
  EXPECT_THAT(wrong("rows: {to: 9}\n"), HasSubstr("`rows` are rows 0 to 9; there are 3"));
  EXPECT_THAT(wrong("standardise: {from: 3}\n"), HasSubstr("`standardise` are rows 3 to 3"));
  EXPECT_THAT(wrong("input_length: 3\nhorizon: 1\n"), HasSubstr("are too few for input_length 3"));
  EXPECT_THAT(message_of<ConfigError>([&] { make("rows: {from: 2, to: 2}\n"); }),
              HasSubstr("there would be no row"));
}

}  // namespace
}  // namespace triga
