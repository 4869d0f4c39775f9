// Starting gnuplot and checking its result.
#include "nodes/plot/gnuplot.hpp"

#include <fmt/format.h>
#include <sys/wait.h>

#include <cstdio>
#include <fstream>
#include <iterator>

#include "nodes/base/failure.hpp"

namespace lateral {
namespace {

namespace fs = std::filesystem;

struct Format {
  const char* ending;
  const char* terminal;
};
constexpr Format formats[] = {{"svg", "svg background 'white' enhanced"},
                              {"png", "pngcairo enhanced"},
                              {"pdf", "pdfcairo enhanced"}};

const Format& format_called(const std::string& name) {
  for (const Format& format : formats)
    if (name == format.ending) return format;
  throw UserError(fmt::format("--format {}: expected svg, png or pdf", one_line(name)));
}

/// "WIDTH,HEIGHT" in the unit of the terminal.
std::string size_text(const Format& format, int width, int height) {
  constexpr double pixels_per_inch = 100;
  if (std::string_view(format.ending) != "pdf") return fmt::format("{},{}", width, height);
  return fmt::format("{:.2f}in,{:.2f}in", width / pixels_per_inch, height / pixels_per_inch);
}

/// Without the settings of the user (-d), which could change the separator of columns. Returns the
/// status as waitpid() gives it.
int run_gnuplot(const std::string& script) {
  std::FILE* const input = ::popen("gnuplot -d >/dev/null 2>&1", "w");
  if (input == nullptr) throw UserError("gnuplot cannot be started");
  std::fwrite(script.data(), 1, script.size(), input);
  return ::pclose(input);
}

}  // namespace

Gnuplot::Gnuplot(fs::path folder, PlotOptions options)
    : folder_{std::move(folder)}, options_{std::move(options)} {
  for (const std::string& format : options_.formats) format_called(format);
  std::error_code error;
  fs::create_directories(folder_, error);
  if (error)
    throw UserError(fmt::format("{}: cannot be created: {}", folder_.string(), error.message()));
}

void Gnuplot::draw(const std::string& name, int width, int height, std::string_view script) {
  if (!wants(name)) return;
  if (options_.width > 0) width = options_.width;
  if (options_.height > 0) height = options_.height;
  for (const std::string& format_name : options_.formats) {
    const Format& format = format_called(format_name);
    const fs::path file = folder_ / fmt::format("{}.{}", name, format.ending);
    if (!std::ofstream{file}) throw UserError(fmt::format("{}: cannot be written", file.string()));
    const int status = run_gnuplot(
        fmt::format("set terminal {} size {} font 'sans,12'\nset output {}\n{}", format.terminal,
                    size_text(format, width, height), gnuplot_string(file.string()), script));
    constexpr int not_found = 127;  // exit code of the shell
    if (WIFEXITED(status) && WEXITSTATUS(status) == not_found)
      throw UserError("gnuplot is not installed, expected the package gnuplot-nox");
    std::error_code failure;
    if (status != 0 || fs::file_size(file, failure) == 0 || failure)
      throw UserError(
          fmt::format("{}: could not be drawn (is the disk full, or a file of the run damaged?)",
                      file.string()));
    files_.push_back(file);
  }
}

const char* colour(std::size_t i) {
  static constexpr const char* names[colours] = {"#0072B2", "#D55E00", "#009E73", "#CC79A7",
                                                 "#E69F00", "#56B4E9", "#000000", "#F0E442"};
  return names[i % colours];
}

std::string gnuplot_string(std::string_view text) {
  std::string out = "'";
  for (const char c : text) {
    if (c == '\'') out += '\'';
    out += static_cast<unsigned char>(c) < ' ' ? ' ' : c;
  }
  return out + "'";
}

std::string margins(const PanelEdges& edges) {
  return fmt::format(
      "set lmargin at screen {:.6g}\nset rmargin at screen {:.6g}\n"
      "set bmargin at screen {:.6g}\nset tmargin at screen {:.6g}\n",
      edges.left, edges.right, edges.bottom, edges.top);
}

}  // namespace lateral
