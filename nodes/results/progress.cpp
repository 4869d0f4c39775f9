// Draws the progress line and prints the lines between.
#include "nodes/results/progress.hpp"

#include <fmt/format.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <string_view>

namespace lateral {
namespace {

constexpr std::chrono::milliseconds redraw_interval{100};
constexpr int bar_columns_min = 5, bar_columns_max = 24;

std::string duration_text(double seconds) {
  const auto s = static_cast<long>(std::max(0.0, seconds) + 0.5);
  return s >= 3600 ? fmt::format("{}:{:02}:{:02}", s / 3600, s / 60 % 60, s % 60)
                   : fmt::format("{}:{:02}", s / 60, s % 60);
}

std::string bar(double share, int columns) {
  const int full = static_cast<int>(share * columns + 0.5);
  std::string text;
  for (int i = 0; i < columns; ++i) text += i < full ? "━" : (i == full ? "╸" : "─");
  return text;
}

/// Flushes, for the case that standard error is buffered.
void print(const std::string& text) {
  std::fputs(text.c_str(), stderr);
  std::fflush(stderr);
}

constexpr const char* clear_line = "\r\033[K";

}  // namespace

std::string progress_line(const std::string& head, double share, const std::string& numbers,
                          int columns) {
  const int room = columns - static_cast<int>(head.size() + numbers.size());
  if (room >= bar_columns_min) return head + bar(share, std::min(room, bar_columns_max)) + numbers;
  return (head + numbers).substr(0, static_cast<std::size_t>(std::max(columns, 0)));
}

bool can_redraw_lines() {
  const char* const terminal = std::getenv("TERM");
  return terminal != nullptr && std::string_view(terminal) != "dumb" && isatty(STDERR_FILENO) != 0;
}

int terminal_columns() {
  winsize size{};
  return ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 ? size.ws_col : 80;
}

Progress::Style Progress::style_for_stderr(bool quiet) {
  if (quiet) return Style::quiet;
  return can_redraw_lines() ? Style::bar : Style::plain;
}

void Progress::begun(const RunBegin& begin) {
  note(fmt::format("{} training samples, {} {} samples; {} steps an epoch", begin.train_samples,
                   begin.evaluate_samples, begin.evaluated_on, begin.steps_per_epoch));
  begin_ = begin;
  began_ = Clock::now();
}

void Progress::step(const TrainingProgress& report) {
  const Clock::time_point now = Clock::now();
  if (style_ != Style::bar || begin_.steps_per_epoch == 0 || now - drawn_ < redraw_interval) return;
  drawn_ = now;
  const std::uint64_t step_in_epoch = report.step - (report.epoch - 1) * begin_.steps_per_epoch;
  const double elapsed = std::chrono::duration<double>(now - began_).count();
  const auto done = static_cast<double>(report.step - begin_.first_step);
  const auto left = static_cast<double>(epochs_ * begin_.steps_per_epoch - report.step);
  const std::string head = fmt::format("epoch {}/{}  ", report.epoch, epochs_);
  const std::string numbers =
      fmt::format(" {}/{}  loss {:.5g}  accuracy {:>7}  {:.0f} samples/s  {} left", step_in_epoch,
                  begin_.steps_per_epoch, report.loss, accuracy_text(report.accuracy),
                  report.samples_per_second, duration_text(done > 0 ? elapsed / done * left : 0));
  const std::string replaced =
      nodes_replaced_ > 0 ? fmt::format("  {} replaced", nodes_replaced_) : "";
  const double share =
      static_cast<double>(step_in_epoch) / static_cast<double>(begin_.steps_per_epoch);
  print(clear_line + progress_line(head, share, numbers + replaced, terminal_columns() - 1));
  line_is_drawn_ = true;
}

void Progress::epoch_done(const MetricsRow& row) {
  note(fmt::format(
      "epoch {}/{}  train loss {:.5g} accuracy {}  {} loss {:.5g} accuracy {}  {:.0f} samples/s",
      row.epoch, epochs_, row.train_loss, accuracy_text(row.train_accuracy), begin_.evaluated_on,
      row.test_loss, accuracy_text(row.test_accuracy), row.train_samples_per_second));
}

void Progress::replaced(const Restart& restart, std::optional<std::uint64_t> from_step) {
  ++nodes_replaced_;
  note(fmt::format("node '{}' {}; it is replaced{}", restart.node, restart.reason,
                   from_step ? fmt::format(" from step {}", *from_step) : ""));
}

void Progress::note(const std::string& line) {
  if (style_ == Style::quiet) return;
  end();
  print(line + "\n");
}

void Progress::end() {
  if (!line_is_drawn_) return;
  print(clear_line);
  line_is_drawn_ = false;
}

}  // namespace lateral
