// CSV tables of samples: headers, delimiters, targets, and the text of every refusal.
#include "nodes/data/reader/csv.hpp"

#include <clocale>

#include "tests/nodes/data/data_fixtures.hpp"

using namespace lateral;
using namespace lateral::testing;

namespace {

class CsvFile {
 public:
  explicit CsvFile(const std::string& text)
      : path_{folder_.write("a.csv", Bytes(text.begin(), text.end()))} {}
  CsvArrays open(const std::vector<std::string>& targets = {"y"}, bool labels = true) const {
    return open_csv(path_, targets, labels);
  }
  std::string refusal(const std::vector<std::string>& targets = {"y"}, bool labels = true) const {
    std::string text = refusal_of([&] { open(targets, labels); });
    // Without the folder.
    const std::string start = path_.string();
    REQUIRE(text.starts_with(start));
    text.erase(0, start.size());
    text.insert(text.begin(), 'F');
    return text;
  }

 private:
  DataFolder folder_;
  std::filesystem::path path_;
};

std::vector<float> values_of(const SampleArray& array) {
  std::vector<float> values(array.samples() * array.row_values());
  array.read(0, array.samples(), values.data());
  return values;
}
std::vector<std::string> labels_of(const SampleArray& array) {
  return array.read_labels(0, array.samples());
}

using Texts = std::vector<std::string>;
using Numbers = std::vector<float>;

}  // namespace

TEST_CASE("inputs are all columns that are not targets, in the order of the file") {
  const CsvArrays csv = CsvFile{"a,y,b\n1,u,2\n3,v,4\n"}.open();
  CHECK(values_of(*csv.inputs) == Numbers{1, 2, 3, 4});
  CHECK(labels_of(*csv.targets) == Texts{"u", "v"});
  const CsvArrays values = CsvFile{"p,a,q\n1,2,3\n4,5,6\n"}.open({"q", "p"}, false);
  CHECK(values_of(*values.inputs) == Numbers{2, 5});
  CHECK(values.targets->shape() == std::vector<std::size_t>{2, 2});
  CHECK(values_of(*values.targets) == Numbers{3, 1, 6, 4});
  CHECK(CsvFile{"a,y\n1,2\n"}.open({"y"}, false).targets->shape() == std::vector<std::size_t>{1});
}

TEST_CASE("without targets all columns are inputs") {
  const CsvArrays csv = CsvFile{"a,b\n1,2\n3,4\n"}.open({}, false);
  CHECK(values_of(*csv.inputs) == Numbers{1, 2, 3, 4});
  CHECK(csv.targets == nullptr);
  CHECK(csv.inputs->value_names() == Texts{"a", "b"});
  CHECK(CsvFile{"1,2\n3,4\n"}.open({}, false).inputs->value_names().empty());
}

TEST_CASE("a header is recognised by a target, by the lack of numbers, or by counting") {
  CHECK(CsvFile{"1,2,y\n3,4,u\n"}.open().inputs->samples() == 1);
  CHECK(CsvFile{"a,b\n3,4\n"}.open({"b"}).inputs->samples() == 1);
  CHECK(CsvFile{"0,1,2\n3,4,5\n"}.open({"2"}).inputs->samples() == 1);
  // Numbered columns beside one with a name, as pandas writes them.
  CHECK(labels_of(*CsvFile{"0,1,label\n3,4,u\n"}.open({"label"}).targets) == Texts{"u"});
  CHECK_THROWS_AS(CsvFile{"0,1,label\n3,4,u\n"}.open(), UserError);  // no column y
  // Without a header: the last column is y, or columns by their number.
  const CsvArrays last = CsvFile{"1,2,u\n3,4,v\n"}.open();
  CHECK(values_of(*last.inputs) == Numbers{1, 2, 3, 4});
  CHECK(labels_of(*last.targets) == Texts{"u", "v"});
  const CsvArrays first = CsvFile{"0,2,5\n1,4,0\n"}.open({"0"});
  CHECK(labels_of(*first.targets) == Texts{"0", "1"});
  CHECK(values_of(*first.inputs) == Numbers{2, 5, 4, 0});
}

TEST_CASE("the delimiter is found in the first line, outside quotes") {
  CHECK(values_of(*CsvFile{"\"a,b\";y\n1;2\n"}.open().inputs) == Numbers{1});
  CHECK(values_of(*CsvFile{"\"a;b\",y\n1,2\n"}.open().inputs) == Numbers{1});
  CHECK(values_of(*CsvFile{"a\ty\n1\t2\n"}.open().inputs) == Numbers{1});
}

TEST_CASE("labels that are all whole numbers are integers") {
  const CsvArrays whole = CsvFile{"a,y\n1,07\n1,-1\n1, 3.0 \n"}.open();
  CHECK(whole.targets->kind() == ElementKind::integer);
  CHECK(labels_of(*whole.targets) == Texts{"7", "-1", "3"});
  CHECK(values_of(*whole.targets) == Numbers{7, -1, 3});
  const CsvArrays mixed = CsvFile{"a,y\n1,7\n1,\"x, \"\"y\"\"\nz\"\n"}.open();
  CHECK(mixed.targets->kind() == ElementKind::text);
  CHECK(labels_of(*mixed.targets) == Texts{"7", "x, \"y\"\nz"});
  CHECK(CsvFile{"a,y\n1,7\n1,1.5\n"}.refusal() ==
        "F: y: row 1, column 0 is 1.5, expected a whole number or text as the label");
}

TEST_CASE("numbers are rounded correctly in any locale") {
  const char* const before = std::setlocale(LC_ALL, nullptr);
  const std::string kept = before == nullptr ? "C" : before;
  std::setlocale(LC_ALL, "de_DE.UTF-8");
  const CsvArrays csv = CsvFile{"a,b,c,d,e,y\n0.1,+1e-3,-.5,1e-999,16777217,0\n"}.open();
  std::setlocale(LC_ALL, kept.c_str());
  CHECK(values_of(*csv.inputs) == Numbers{0.1F, 1e-3F, -0.5F, 0, 16777216});
}

TEST_CASE("missing values are refused with line and column") {
  for (const char* missing : {"", "NA", "nan", "NaN", "?", " N/A ", "\"\""})
    CHECK(contains(CsvFile{std::string("a,b,y\n1,2,3\n\n4,") + missing + ",6\n"}.refusal(),
                   "F:4: column 'b' is missing ('"));
  CHECK(CsvFile{"a,y\n1,?\n"}.refusal() == "F:2: column 'y' is missing ('?'), expected a label");
  CHECK(CsvFile{"a,y\n1,\n"}.refusal({"y"}, false) ==
        "F:2: column 'y' is missing (''), expected a number");
}

TEST_CASE("values that are not finite numbers of float32 are refused with line and column") {
  CHECK(CsvFile{"a,b,y\n1,x,3\n"}.refusal() == "F:2: column 'b' is 'x', expected a number");
  CHECK(CsvFile{"a;y\n1,5;3\n"}.refusal() ==
        "F:2: column 'a' is '1,5', expected a number with a decimal point");
  for (const char* value : {"inf", "-Infinity", "1e39", "-1e400", "1e999"})
    CHECK(contains(CsvFile{std::string("a,y\n") + value + ",3\n"}.refusal(),
                   "expected a finite number of at most 3.4e38"));
  for (const char* value : {"0x1", "1 2", "1e", "--1", "+-1", "+", "True", "1_0"})
    CHECK(contains(CsvFile{std::string("a,y\n") + value + ",3\n"}.refusal(), "expected a number"));
}

TEST_CASE("tables that are not rectangular or lack their columns are refused") {
  CHECK(CsvFile{"a,b,y\n1,2,3\n\n4,5\n"}.refusal() ==
        "F:4: has 2 fields, expected 3 as in the first line");
  CHECK(CsvFile{"a,y\n\"1\n2\",3\n"}.refusal() == "F:2: column 'a' is '1 2', expected a number");
  CHECK(CsvFile{"a,y\n1,\"3\n"}.refusal() == "F:2: begins a quote that does not end");
  CHECK(CsvFile{"a,b\n1,2\n"}.refusal() == "F: has no column 'y', expected one of: a, b");
  CHECK(CsvFile{"a,b,c,d,e,f,g,h,i,j,k\n1\n"}.refusal() ==
        "F: has no column 'y', expected one of: a, b, c, d, e, f, g, h, i, j … (11 in all)");
  CHECK(CsvFile{"1,2\n"}.refusal({"7"}) == "F: has no column '7', expected one of: 0, 1");
  CHECK(CsvFile{"y,a,y\n1,2,3\n"}.refusal() == "F: has two columns 'y', expected each name once");
  CHECK(CsvFile{"a,a,y\n1,2,3\n"}.refusal() == "F: has two columns 'a', expected each name once");
  CHECK(contains(CsvFile{",a,y\n0,1,2\n"}.refusal(), "has a column without a name"));
  CHECK(CsvFile{"a,y\n1,gr\xe4\n"}.refusal() == "F:2: 'gr\\xe4' is not UTF-8 text, expected UTF-8");
  CHECK(contains(CsvFile{"a,y\n1,2\n"}.refusal({"y", "y"}, false), "given twice"));
  CHECK(contains(CsvFile{"a,y\n1,2\n"}.refusal({"a", "y"}), "2 target columns, expected one"));
  CHECK(contains(CsvFile{"y\n1\n"}.refusal(), "all 1 columns are targets, expected an input"));
  CHECK(CsvFile{""}.refusal() == "F: is empty, expected a row for each sample");
  CHECK(CsvFile{"\xEF\xBB\xBF\r\n\r\n"}.refusal() == "F: is empty, expected a row for each sample");
  CHECK(CsvFile{"a,y\n"}.refusal() == "F: has a header only, expected a row for each sample");
  CHECK(CsvFile{"\xFF\xFE"
                "a"}
            .refusal() == "F: is UTF-16 text, expected UTF-8");
}

TEST_CASE("rows and lines have a limit") {
  CHECK(contains(CsvFile{"a,y\n" + std::string(csv_row_bytes_max + 2'000'000, '1')}.refusal(),
                 "F:2: a line of more than 16777216 bytes"));
  std::string open_quote = "a,y\n\"";
  while (open_quote.size() < csv_row_bytes_max + 100) open_quote += "1,2\n";
  CHECK(contains(CsvFile{open_quote}.refusal(), "F:2: a row of more than 16777216 bytes"));
}

TEST_CASE("lines that cross the blocks of a file are read whole") {
  std::string text = "a,b,y\n";
  Numbers expected;
  for (int i = 0; i < 200'000; ++i) {
    text += std::to_string(i) + ",0.25,1\r\n";
    expected.push_back(static_cast<float>(i));
    expected.push_back(0.25F);
  }
  CHECK(text.size() > 2 << 20);
  CHECK(values_of(*CsvFile{text}.open().inputs) == expected);
}
