// What is drawn, and the words of it for gnuplot.
#include "nodes/plot/plot.hpp"

#include <sys/wait.h>

#include <Eigen/SVD>
#include <algorithm>
#include <cstdio>
#include <fstream>
#include <functional>
#include <limits>
#include <map>
#include <sstream>

#include "nodes/failure.hpp"
#include "nodes/results/checkpoint.hpp"
#include "nodes/results/run_directory.hpp"
#include "nodes/sweep/sweep.hpp"
#include "nodes/version.hpp"

namespace lateral {
namespace {

namespace fs = std::filesystem;

/// Rows of numbers of a CSV file whose header is known.
using Rows = std::vector<std::vector<double>>;

/// One line of the learning curves: runs of one setting.
struct Curve {
  std::string title;
  std::vector<Rows>
      runs;  ///< metrics.csv of each: epoch, train loss, accuracy, test loss, accuracy
};

Rows read_metrics(const fs::path& file) {
  Rows rows;
  std::ifstream stream{file};
  std::string line;
  std::getline(stream, line);  // names
  if (!line.starts_with("epoch,train_loss,"))
    throw UserError(file.string() + ": begins with other columns, expected metrics.csv as written");
  while (std::getline(stream, line)) {
    std::vector<double> row;
    std::istringstream fields{line};
    for (std::string field; std::getline(fields, field, ',');)
      row.push_back(std::strtod(field.c_str(), nullptr));
    if (row.size() >= 5) rows.push_back(std::move(row));
  }
  return rows;
}

bool is_sweep(const fs::path& folder) { return fs::exists(folder / "sweep.textproto"); }
bool is_run(const fs::path& folder) { return fs::exists(folder / "metrics.csv"); }

std::string name_of(const fs::path& folder) {
  const fs::path whole = fs::absolute(folder).lexically_normal();
  return whole.filename().empty() ? whole.parent_path().filename().string()
                                  : whole.filename().string();
}

/// The last word of an axis' path, or all of it if another axis has that too.
std::string short_name(const Sweep& sweep, std::size_t axis) {
  const auto last = [](const std::string& path) { return path.substr(path.rfind('.') + 1); };
  const auto same = std::count_if(sweep.axes.begin(), sweep.axes.end(), [&](const auto& path) {
    return last(path) == last(sweep.axes[axis]);
  });
  return same == 1 ? last(sweep.axes[axis]) : sweep.axes[axis];
}

std::string title_of(const Sweep& sweep, const SweepMember& member) {
  std::string title = member.arm;
  for (std::size_t a = 0; a < sweep.axes.size(); ++a) {
    if (member.values[a].empty()) continue;
    title += (title.empty() ? "" : ", ") + short_name(sweep, a) + " " + member.values[a];
  }
  return title.empty() ? sweep.name : title;
}

void add_curves(const fs::path& folder, std::vector<Curve>& curves,
                std::vector<fs::path>& run_folders) {
  if (is_run(folder)) {
    curves.push_back({name_of(folder), {read_metrics(folder / "metrics.csv")}});
    run_folders.push_back(folder);
    return;
  }
  if (!is_sweep(folder))
    throw UserError(folder.string() +
                    ": neither a run (metrics.csv) nor a sweep (sweep.textproto)");
  const Sweep sweep = load_sweep(folder / "sweep.textproto");
  const std::size_t first = curves.size();
  for (std::size_t i = 0; i < sweep.members.size(); ++i) {
    const SweepMember& member = sweep.members[i];
    if (first + member.setting >= curves.size()) curves.push_back({title_of(sweep, member), {}});
    const fs::path run = member_folder(folder, i);
    if (!is_run(run)) continue;
    curves[first + member.setting].runs.push_back(read_metrics(run / "metrics.csv"));
    run_folders.push_back(run);
  }
}

// ---- gnuplot

/// Told apart by the colour-blind too (Okabe & Ito 2008).
const char* colour(std::size_t i) {
  static const char* const colours[] = {"#0072B2", "#D55E00", "#009E73", "#CC79A7",
                                        "#E69F00", "#56B4E9", "#000000", "#F0E442"};
  return colours[i % std::size(colours)];
}

/// Single quotes: nothing in them means anything to gnuplot but a quote, which is doubled.
std::string quoted(const std::string& text) {
  std::string out = "'";
  for (const char c : text) {
    if (c == '\'') out += '\'';
    out += static_cast<unsigned char>(c) < ' ' ? ' ' : c;
  }
  return out + "'";
}

/// Runs the script once for each kind of picture. `body` goes between the terminal and the end.
void draw(const fs::path& out, const std::string& name, int width, int height,
          const std::string& body, std::vector<fs::path>& written) {
  for (const auto& [ending, terminal] :
       {std::pair<std::string, std::string>{"svg", "svg background 'white' enhanced"},
        {"png", "pngcairo enhanced"}}) {
    const fs::path file = out / (name + "." + ending);
    std::ostringstream script;
    script << "set terminal " << terminal << " size " << width << "," << height
           << " font 'sans,12'\nset output " << quoted(file.string()) << "\n"
           << body;
    if (!std::ofstream{file}) throw UserError(file.string() + ": cannot be written");
    std::FILE* gnuplot = ::popen("gnuplot >/dev/null 2>&1", "w");
    if (gnuplot == nullptr) throw UserError("gnuplot cannot be started");
    const std::string text = script.str();
    std::fwrite(text.data(), 1, text.size(), gnuplot);
    const int status = ::pclose(gnuplot);
    std::error_code none;
    constexpr int not_found = 127;  // as the shell says it
    if (WIFEXITED(status) && WEXITSTATUS(status) == not_found)
      throw UserError("gnuplot is not there, expected the package gnuplot-nox");
    if (status != 0 || fs::file_size(file, none) == 0)
      throw UserError(file.string() +
                      ": could not be drawn (is the disk full, or a file of the run damaged?)");
    written.push_back(file);
  }
}

struct Panel {
  std::string title, unit;
  std::size_t column;  ///< of metrics.csv
  double scale;
};

/// Data blocks $c0, $c1, …: epoch, then mean, smallest and largest of each panel.
std::string curve_data(const std::vector<Curve>& curves, const std::vector<Panel>& panels) {
  std::ostringstream out;
  for (std::size_t c = 0; c < curves.size(); ++c) {
    std::map<double, std::vector<const std::vector<double>*>> epochs;
    for (const Rows& run : curves[c].runs)
      for (const std::vector<double>& row : run) epochs[row[0]].push_back(&row);
    out << "$c" << c << " << EOD\n";
    for (const auto& [epoch, rows] : epochs) {
      out << epoch;
      for (const Panel& panel : panels) {
        double sum = 0, low = std::numeric_limits<double>::infinity(), high = -low;
        for (const std::vector<double>* row : rows) {
          const double value = panel.scale * (*row)[panel.column];
          sum += value;
          low = std::min(low, value);
          high = std::max(high, value);
        }
        out << " " << sum / static_cast<double>(rows.size()) << " " << low << " " << high;
      }
      out << "\n";
    }
    out << "EOD\n";
  }
  return out.str();
}

void draw_curves(std::vector<Curve> curves, const fs::path& out, std::vector<fs::path>& written) {
  std::erase_if(curves, [](const Curve& curve) {
    return std::all_of(curve.runs.begin(), curve.runs.end(),
                       [](const Rows& rows) { return rows.empty(); });
  });
  if (curves.empty()) return;
  const std::vector<Panel> panels{{"training loss", "loss", 1, 1},
                                  {"test loss", "loss", 3, 1},
                                  {"training accuracy", "accuracy [%]", 2, 100},
                                  {"test accuracy", "accuracy [%]", 4, 100}};
  constexpr int panels_width = 880, key_sample = 80, letter = 9;
  constexpr std::size_t colours = 8;
  std::size_t letters = 0, epochs = 0;
  double low = std::numeric_limits<double>::infinity(), high = 0;  // of the losses
  for (const Curve& curve : curves) {
    letters = std::max(letters, curve.title.size());
    for (const Rows& run : curve.runs) {
      epochs = std::max(epochs, run.size());
      for (const std::vector<double>& row : run) {
        low = std::min({low, row[1], row[3]});
        high = std::max({high, row[1], row[3]});
      }
    }
  }
  const int width = panels_width + key_sample + letter * static_cast<int>(letters);
  const double right = static_cast<double>(panels_width) / width;
  const bool wide = low > 0 && high / low > 100;
  const auto line = [](std::size_t c) {
    return " with linespoints pt " + std::to_string(5 + c % 10) + " ps 0.5 lw 2 dt " +
           std::to_string(1 + c / colours % 4) + " lc rgb '" + colour(c) + "'";
  };
  const auto at = [](double x, double x_end, double y, double y_end) {
    std::ostringstream words;
    words << "set lmargin at screen " << x << "\nset rmargin at screen " << x_end
          << "\nset bmargin at screen " << y << "\nset tmargin at screen " << y_end << "\n";
    return words.str();
  };
  constexpr double left = 0.07, bottom = 0.09, between = 0.08, above = 0.17;
  const double panel_width = (right - 0.01 - left - between) / 2;
  constexpr double panel_height = (0.94 - bottom - above) / 2;
  std::ostringstream script;
  script << curve_data(curves, panels) << "set multiplot\nset grid lc rgb '#dddddd'\n"
         << "set xlabel 'epoch'\nset style fill transparent solid 0.18 noborder\nunset key\n"
         << (epochs <= 20 ? "set xtics 1\n" : "");
  for (std::size_t p = 0; p < panels.size(); ++p) {
    const double x = left + static_cast<double>(p % 2) * (panel_width + between);
    const double y = bottom + (p < 2 ? panel_height + above : 0);
    script << at(x, x + panel_width, y, y + panel_height) << "set title " << quoted(panels[p].title)
           << "\nset ylabel " << quoted(panels[p].unit) << "\n"
           << (wide && panels[p].unit == "loss" ? "set logscale y\nset format y '10^{%L}'\n"
                                                : "unset logscale y\nset format y '%g'\n");
    script << "plot ";
    const std::size_t mean = 2 + 3 * p;
    for (std::size_t c = 0; c < curves.size(); ++c) {
      if (c > 0) script << ", \\\n  ";
      if (curves[c].runs.size() > 1)
        script << "$c" << c << " using 1:" << mean + 1 << ":" << mean + 2
               << " with filledcurves lc rgb '" << colour(c) << "' notitle, \\\n  ";
      script << "$c" << c << " using 1:" << mean << line(c);
    }
    script << "\n";
  }
  // The key as a panel of its own: beside another it would be cut to the height of that.
  script << at(right, 1, 0.02, 0.96)
         << "unset title\nunset xlabel\nunset ylabel\nunset tics\nunset border\nunset logscale\n"
         << "set key at graph 0,1 left top Left reverse noenhanced\nplot [0:1] [0:1] ";
  for (std::size_t c = 0; c < curves.size(); ++c)
    script << (c > 0 ? ", \\\n  " : "") << "NaN" << line(c) << " title " << quoted(curves[c].title);
  script << "\nunset multiplot\n";
  const int height = std::max<int>(640, 60 + 18 * static_cast<int>(curves.size()));
  draw(out, "learning_curves", width, height, script.str(), written);
}

/// False if the run has none.
bool draw_probes(const fs::path& run, const fs::path& out, std::vector<fs::path>& written) {
  std::ifstream stream{run / "probes.csv"};
  std::string line;
  std::getline(stream, line);
  std::map<std::string, std::map<std::string, std::ostringstream>> probes;  // probe, layer
  std::vector<std::string> layers;
  while (std::getline(stream, line)) {
    std::istringstream fields{line};
    std::string step, epoch, layer, probe, value;
    std::getline(fields, step, ',');
    std::getline(fields, epoch, ',');
    std::getline(fields, layer, ',');
    std::getline(fields, probe, ',');
    std::getline(fields, value, ',');
    if (value.empty()) continue;
    if (std::find(layers.begin(), layers.end(), layer) == layers.end()) layers.push_back(layer);
    probes[probe][layer] << step << " " << value << "\n";
  }
  if (probes.empty()) return false;
  const int columns = 3, rows = (static_cast<int>(probes.size()) + columns - 1) / columns;
  std::ostringstream script;
  for (const auto& [probe, by_layer] : probes)
    for (const auto& [layer, data] : by_layer) {
      const auto at = std::find(layers.begin(), layers.end(), layer) - layers.begin();
      script << "$" << probe << "_" << at << " << EOD\n" << data.str() << "EOD\n";
    }
  script << "set multiplot layout " << rows << "," << columns << " margins 0.06,0.85," << 0.2 / rows
         << "," << 1 - 0.14 / rows << " spacing 0.06," << 0.32 / rows
         << "\nset grid lc rgb '#dddddd'\nset tics font ',10'\n"
         << "set xlabel 'training step' offset 0,0.5\nset key noenhanced\n";
  // One key, of the probe that most layers have.
  const auto most = std::max_element(
      probes.begin(), probes.end(),
      [](const auto& x, const auto& y) { return x.second.size() < y.second.size(); });
  for (const auto& [probe, by_layer] : probes) {
    script << (probe == most->first
                   ? "set key at screen 0.87,0.95 left top Left reverse noenhanced\n"
                   : "unset key\n");
    std::string title = probe;
    std::replace(title.begin(), title.end(), '_', ' ');
    script << "set title " << quoted(title) << "\n"
           << (probe.starts_with("correlation") || probe.ends_with("residual")
                   ? "set logscale y\nset format y '10^{%L}'\n"
                   : "unset logscale y\nset format y '%g'\n")
           << "plot ";
    bool first = true;
    for (const auto& [layer, data] : by_layer) {
      const auto at =
          static_cast<std::size_t>(std::find(layers.begin(), layers.end(), layer) - layers.begin());
      script << (first ? "" : ", \\\n  ") << "$" << probe << "_" << at
             << " using 1:2 with linespoints pt 7 ps 0.3 lw 1.5 lc rgb '" << colour(at)
             << "' title " << quoted(layer);
      first = false;
    }
    script << "\n";
  }
  script << "unset multiplot\n";
  draw(out, "probes", 1200, 60 + 300 * rows, script.str(), written);
  return true;
}

/// False if no layer of the run has such a matrix.
bool draw_spectrum(const fs::path& run, const fs::path& out, std::vector<fs::path>& written) {
  constexpr std::size_t bytes_max = std::size_t{1} << 34;
  constexpr std::uint32_t units_max = 4096;  // a decomposition of more takes minutes
  std::ostringstream script, plot;
  std::size_t lines = 0;
  for (const CheckpointTensor& tensor :
       read_checkpoint(run / "checkpoint.h5", {bytes_max, bytes_max}).tensors) {
    if (tensor.name != "decorrelation/R" && tensor.name != "decorrelation/M") continue;
    if (tensor.shape.size() != 2 || tensor.shape[0] > units_max) continue;
    const Eigen::Map<const Eigen::MatrixXf> matrix(tensor.values.data(), tensor.shape[1],
                                                   tensor.shape[0]);
    const Eigen::VectorXf values = Eigen::BDCSVD<Eigen::MatrixXf>(matrix).singularValues();
    script << "$s" << lines << " << EOD\n";
    for (Eigen::Index i = 0; i < values.size(); ++i)
      script << static_cast<double>(i + 1) / static_cast<double>(values.size()) << " " << values[i]
             << "\n";
    script << "EOD\n";
    plot << (lines > 0 ? ", \\\n  " : "plot ") << "$s" << lines << " with lines lw 2 lc rgb '"
         << colour(lines) << "' title "
         << quoted(tensor.layer + " " + tensor.name.substr(tensor.name.rfind('/') + 1));
    ++lines;
  }
  if (lines == 0) return false;
  script << "set title 'Spectrum of the decorrelating matrices'\nset logscale y\n"
         << "set grid lc rgb '#dddddd'\nset xlabel 'rank / number of units'\n"
         << "set ylabel 'singular value'\nset key outside noenhanced\n"
         << plot.str() << "\n";
  draw(out, "spectrum", 900, 520, script.str(), written);
  return true;
}

}  // namespace

std::vector<fs::path> plot(const std::vector<fs::path>& paths, const fs::path& out) {
  std::vector<Curve> curves;
  std::vector<fs::path> runs, written;
  for (const fs::path& path : paths) add_curves(path, curves, runs);
  std::error_code error;
  fs::create_directories(out, error);
  if (error) throw UserError(out.string() + ": cannot be made: " + error.message());
  draw_curves(std::move(curves), out, written);
  (void)std::any_of(runs.begin(), runs.end(),
                    [&](const fs::path& run) { return draw_probes(run, out, written); });
  (void)std::any_of(runs.begin(), runs.end(), [&](const fs::path& run) {
    std::error_code none;
    return fs::exists(run / "checkpoint.h5", none) && draw_spectrum(run, out, written);
  });
  if (written.empty()) throw UserError("nothing to draw: no epoch of these runs has ended");
  return written;
}

}  // namespace lateral
