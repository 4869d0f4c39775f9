// What is drawn, and the words of it for gnuplot.
#include "nodes/plot/plot.hpp"

#include <sys/wait.h>

#include <Eigen/Eigenvalues>
#include <Eigen/SVD>
#include <algorithm>
#include <cstdio>
#include <fstream>
#include <functional>
#include <limits>
#include <map>
#include <sstream>

#include "nodes/base/failure.hpp"
#include "nodes/results/checkpoint.hpp"
#include "nodes/results/recording_file.hpp"
#include "nodes/results/run_directory.hpp"
#include "nodes/sweep/sweep.hpp"
#include "nodes/base/version.hpp"

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
  std::vector<Panel> panels{{"training loss", "loss", 1, 1},
                            {"test loss", "loss", 3, 1},
                            {"training accuracy", "accuracy [%]", 2, 100},
                            {"test accuracy", "accuracy [%]", 4, 100}};
  // Targets that are vectors have no accuracy.
  std::erase_if(panels, [&](const Panel& panel) {
    return std::none_of(curves.begin(), curves.end(), [&](const Curve& curve) {
      return std::any_of(curve.runs.begin(), curve.runs.end(), [&](const Rows& rows) {
        return std::any_of(rows.begin(), rows.end(), [&](const std::vector<double>& row) {
          return std::isfinite(row[panel.column]);
        });
      });
    });
  });
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
  const bool two_rows = panels.size() > 2;
  const double panel_height = two_rows ? (0.94 - bottom - above) / 2 : 0.94 - bottom;
  std::ostringstream script;
  script << curve_data(curves, panels) << "set multiplot\nset grid lc rgb '#dddddd'\n"
         << "set xlabel 'epoch'\nset style fill transparent solid 0.18 noborder\nunset key\n"
         << (epochs <= 20 ? "set xtics 1\n" : "");
  for (std::size_t p = 0; p < panels.size(); ++p) {
    const double x = left + static_cast<double>(p % 2) * (panel_width + between);
    const double y = bottom + (two_rows && p < 2 ? panel_height + above : 0);
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

// ---- What was recorded

/// Layers of a record that are drawn, from the input on.
constexpr std::size_t drawn_layers_max = 8;

using RowMajor = Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;

/// The corner of a correlation matrix that is drawn, at most so many units wide.
Eigen::MatrixXf drawn_correlation(const std::vector<float>& row, const Record::OfLayer& of,
                                  int which) {
  constexpr Eigen::Index units_max = 256;
  const auto n = static_cast<Eigen::Index>(of.units.size());
  const Eigen::Index drawn = std::min(n, units_max);
  return Eigen::Map<const RowMajor>(row.data() + which * n * n, n, n).topLeftCorner(drawn, drawn);
}

/// Of the units that vary, from the largest on.
Eigen::VectorXd eigenvalues(const Eigen::MatrixXf& correlation) {
  std::vector<Eigen::Index> varying;
  for (Eigen::Index i = 0; i < correlation.rows(); ++i)
    if (correlation(i, i) == correlation(i, i)) varying.push_back(i);
  if (varying.empty()) return {};
  const Eigen::MatrixXd matrix = correlation(varying, varying).cast<double>();
  return Eigen::SelfAdjointEigenSolver<Eigen::MatrixXd>(matrix, Eigen::EigenvaluesOnly)
      .eigenvalues()
      .reverse();
}

/// Heat maps of one layer's correlations before and after decorrelation, at the first and at the
/// last recorded step, and their eigenvalues. Sizes in pixels.
struct CorrelationPanels {
  static constexpr int side = 220, left = 130, step = 262, top = 84, row_step = 316, bottom = 58;
  static constexpr int spectrum_gap = 190, spectrum_width = 270, right = 30;
  int width, height;

  static int width_of(std::size_t maps) {
    return left + static_cast<int>(maps) * step - (step - side) + spectrum_gap + spectrum_width +
           right;
  }
  static int height_of(std::size_t layers) {
    return top + static_cast<int>(layers) * row_step - (row_step - side) + bottom;
  }
  /// Square because the margins are: gnuplot ignores `size ratio` with fixed margins.
  std::string frame(int x, int wide, std::size_t layer) const {
    const int y = top + static_cast<int>(layer) * row_step;
    std::ostringstream out;
    out << "set lmargin at screen " << static_cast<double>(x) / width << "\nset rmargin at screen "
        << static_cast<double>(x + wide) / width << "\nset tmargin at screen "
        << 1 - static_cast<double>(y) / height << "\nset bmargin at screen "
        << 1 - static_cast<double>(y + side) / height << "\n";
    return out.str();
  }
};

void draw_correlation(const fs::path& run, const Record& record, const fs::path& out,
                      std::vector<fs::path>& written) {
  const std::size_t layers = std::min(record.layers.size(), drawn_layers_max);
  std::vector<RecordedRows> recorded;
  bool has_two = false;
  for (std::size_t l = 0; l < layers; ++l) {
    recorded.push_back(read_recorded(run / "recording.h5", record, record.layers[l]));
    if (recorded.back().steps.empty()) return;
    has_two = has_two || recorded.back().steps.size() > 1;
  }
  const std::size_t maps = has_two ? 4 : 2;
  const CorrelationPanels panels{CorrelationPanels::width_of(maps),
                                 CorrelationPanels::height_of(layers)};
  std::ostringstream script;
  script << "set multiplot\n"
         << "set label 1 "
         << quoted(name_of(run) + ": correlation coefficients of the layers' inputs")
         << " at screen 0.5, screen " << 1 - 22.0 / panels.height
         << " center noenhanced font ',14'\n"
         << "set palette defined (-1 '#2166ac', -0.5 '#92c5de', 0 '#ffffff', 0.5 '#f4a582', "
            "1 '#b2182b')\nset cbrange [-1:1]\n"
         // What is not drawn, a unit that does not vary, shows the ground.
         << "set object 1 rectangle from graph 0,0 to graph 1,1 fc rgb '#cccccc' fillstyle solid "
            "noborder behind\nset tics out nomirror font ',10'\nunset key\n";
  for (std::size_t l = 0; l < layers; ++l) {
    const RecordedRows& rows = recorded[l];
    std::ostringstream lines;
    for (std::size_t m = 0; m < maps; ++m) {
      const bool after = m % 2 == 1, last = m >= 2;
      const Eigen::MatrixXf map =
          drawn_correlation(last ? rows.last : rows.first, record.layers[l], after ? 1 : 0);
      const std::string block = std::to_string(l) + "_" + std::to_string(m);
      script << "$c" << block << " << EOD\n" << map << "\nEOD\n$e" << block << " << EOD\n";
      const Eigen::VectorXd values = eigenvalues(map);
      constexpr double rounding = 1e-6;
      for (Eigen::Index i = 0; i < values.size(); ++i)
        if (values[i] > rounding * values[0]) script << i + 1 << " " << values[i] << "\n";
      script << "EOD\n";
      const std::string title = std::string(after ? "after" : "before") + " decorrelation, step " +
                                std::to_string(last ? rows.steps.back() : rows.steps.front());
      script << panels.frame(
                    CorrelationPanels::left + static_cast<int>(m) * CorrelationPanels::step,
                    CorrelationPanels::side, l)
             << "set title " << quoted(title) << " font ',11' offset 0,-0.4\n"
             << "set xrange [-0.5:" << map.cols() << "-0.5]\nset yrange [" << map.rows()
             << "-0.5:-0.5]\nset xlabel 'unit' offset 0,0.5\n";
      if (m == 0)
        script << "set ylabel " << quoted(record.layers[l].layer + ": unit")
               << " noenhanced offset 1,0\n";
      else
        script << "unset ylabel\n";
      if (m + 1 == maps)
        script << "set colorbox user origin screen "
               << static_cast<double>(CorrelationPanels::left +
                                      static_cast<int>(maps) * CorrelationPanels::step -
                                      (CorrelationPanels::step - CorrelationPanels::side) + 14) /
                      panels.width
               << ", screen "
               << 1 - static_cast<double>(CorrelationPanels::top +
                                          static_cast<int>(l) * CorrelationPanels::row_step +
                                          CorrelationPanels::side) /
                          panels.height
               << " size screen " << 14.0 / panels.width << ", screen "
               << static_cast<double>(CorrelationPanels::side) / panels.height
               << "\nset cbtics 0.5\nset cblabel 'correlation' offset 0.5,0\n";
      else
        script << "unset colorbox\n";
      script << "plot $c" << block << " matrix with image\nunset label 1\n";
      lines << (m > 0 ? ", \\\n  " : "plot ") << "$e" << block << " with lines lw 2 "
            << (last || !has_two ? "" : "dt (6,4) ") << "lc rgb '" << colour(after ? 0 : 1)
            << "' title "
            << quoted(std::string(after ? "after" : "before") + ", step " +
                      std::to_string(last ? rows.steps.back() : rows.steps.front()));
    }
    script << "unset object 1\n"
           << panels.frame(
                  panels.width - CorrelationPanels::right - CorrelationPanels::spectrum_width,
                  CorrelationPanels::spectrum_width, l)
           << "set title 'eigenvalues'\nset xrange [*:*]\nset yrange [*:*]\nset logscale xy\n"
           << "set format '10^{%L}'\nset xlabel 'rank'\nset ylabel 'eigenvalue' offset 1,0\n"
           << "set grid lt 1 lc rgb '#dddddd'\n"
           << "set key bottom left Left reverse samplen 2 spacing 1 font ',9'\n"
           << lines.str() << "\nunset logscale\nset format '%g'\nunset grid\nunset key\n"
           << "set object 1 rectangle from graph 0,0 to graph 1,1 fc rgb '#cccccc' fillstyle solid "
              "noborder behind\n";
  }
  script << "unset multiplot\n";
  draw(out, "correlation_" + record.name, panels.width, panels.height, script.str(), written);
}

/// How the first sample of the batch settled, at the first and at the last recorded step.
void draw_settling(const fs::path& run, const Record& record, const fs::path& out,
                   std::vector<fs::path>& written) {
  constexpr std::size_t units_max = 8, few_steps = 12;
  const std::size_t layers = std::min(record.layers.size(), drawn_layers_max);
  const int height = 50 + 310 * static_cast<int>(layers);
  std::ostringstream script;
  script << "set multiplot layout " << layers << ",2 margins 0.08,0.98," << 50.0 / height << ","
         << 1 - 74.0 / height << " spacing 0.09," << 100.0 / height << "\nset label 1 "
         << quoted(name_of(run) + ": settling of one sample, a line a unit")
         << " at screen 0.5, screen " << 1 - 22.0 / height
         << " center noenhanced font ',14'\nset grid lt 1 lc rgb '#dddddd'\nunset key\n"
         << "set xlabel 'settling step' offset 0,0.5\nset ylabel 'x'\n";
  for (std::size_t l = 0; l < layers; ++l) {
    const Record::OfLayer& of = record.layers[l];
    const RecordedRows rows = read_recorded(run / "recording.h5", record, of);
    if (rows.steps.empty()) return;
    const std::size_t states = of.shape[0], units = of.shape[2];
    const std::size_t state_size = of.shape[1] * units, drawn = std::min(units, units_max);
    for (const bool last : {false, true}) {
      const float* row = (last ? rows.last : rows.first).data();
      std::size_t settled = states - 1;  // the state that it keeps
      while (settled > 0 &&
             std::equal(row + settled * state_size, row + settled * state_size + units,
                        row + (settled - 1) * state_size))
        --settled;
      const std::string block = std::to_string(l) + (last ? "b" : "a");
      script << "$s" << block << " << EOD\n";
      for (std::size_t k = 0; k <= settled; ++k) {
        script << k;
        for (std::size_t u = 0; u < drawn; ++u) script << " " << row[k * state_size + u];
        script << "\n";
      }
      script << "EOD\nset title "
             << quoted(of.layer + ", training step " +
                       std::to_string(last ? rows.steps.back() : rows.steps.front()) +
                       (settled + 1 < states
                            ? ": settled after " + std::to_string(settled) + " steps"
                            : ": its first " + std::to_string(states - 1) + " steps"))
             << " noenhanced\nset xrange [0:" << std::max<std::size_t>(settled, 1)
             << "]\nset xtics " << (settled <= few_steps ? "1" : "autofreq") << "\nplot ";
      for (std::size_t u = 0; u < drawn; ++u)
        script << (u > 0 ? ", \\\n  " : "") << "$s" << block << " using 1:" << u + 2
               << " with linespoints pt 7 ps 0.3 lw 1.5 lc rgb '" << colour(u) << "'";
      script << "\nunset label 1\n";
    }
  }
  script << "unset multiplot\n";
  draw(out, "settling_" + record.name, 1000, height, script.str(), written);
}

/// False if nothing that has a picture was recorded.
bool draw_recording(const fs::path& run, const fs::path& out, std::vector<fs::path>& written) {
  const std::size_t before = written.size();
  const Experiment experiment = load_experiment(run / "experiment.textproto", {});
  for (const Record& record : experiment.records) {
    if (record.what == Recorded::correlation) draw_correlation(run, record, out, written);
    if (record.what == Recorded::settling) draw_settling(run, record, out, written);
  }
  return written.size() > before;
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
  (void)std::any_of(runs.begin(), runs.end(), [&](const fs::path& run) {
    std::error_code none;
    return fs::exists(run / "recording.h5", none) && draw_recording(run, out, written);
  });
  if (written.empty()) throw UserError("nothing to draw: no epoch of these runs has ended");
  return written;
}

}  // namespace lateral
