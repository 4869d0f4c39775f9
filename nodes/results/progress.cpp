// Drawing of the progress line.
#include "nodes/results/progress.hpp"

#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>

namespace lateral {
namespace {

constexpr std::chrono::milliseconds redraw_interval{100};

std::string duration_text(double seconds) {
  char text[32];
  const auto s = static_cast<long>(std::max(0.0, seconds) + 0.5);
  if (s >= 3600)
    std::snprintf(text, sizeof text, "%ld:%02ld:%02ld", s / 3600, s / 60 % 60, s % 60);
  else
    std::snprintf(text, sizeof text, "%ld:%02ld", s / 60, s % 60);
  return text;
}

std::string bar(double share, int width) {
  const int full = static_cast<int>(share * width + 0.5);
  std::string text;
  for (int i = 0; i < width; ++i) text += i < full ? "━" : (i == full ? "╸" : "─");
  return text;
}

int terminal_columns() {
  winsize size{};
  return ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 ? size.ws_col : 80;
}

}  // namespace

Progress::Style Progress::style_for_stderr(bool quiet) {
  if (quiet) return Style::quiet;
  return isatty(STDERR_FILENO) != 0 ? Style::bar : Style::plain;
}

void Progress::begin(std::uint64_t steps_per_epoch, std::uint64_t first_step) {
  steps_per_epoch_ = steps_per_epoch;
  first_step_ = first_step;
  began_ = Clock::now();
}

void Progress::step(std::uint64_t step, std::uint64_t epoch, double loss, double accuracy,
                    double samples_per_second) {
  const Clock::time_point now = Clock::now();
  if (style_ != Style::bar || steps_per_epoch_ == 0 || now - drawn_ < redraw_interval) return;
  drawn_ = now;
  const std::uint64_t in_epoch = step - (epoch - 1) * steps_per_epoch_;
  const double share = static_cast<double>(in_epoch) / static_cast<double>(steps_per_epoch_);
  const double elapsed = std::chrono::duration<double>(now - began_).count();
  const auto done = static_cast<double>(step - first_step_);
  const auto left = static_cast<double>(epochs_ * steps_per_epoch_ - step);
  const std::string left_text = duration_text(done > 0 ? elapsed / done * left : 0);
  char numbers[160];
  std::snprintf(
      numbers, sizeof numbers, " %llu/%llu  loss %.5g  accuracy %7s  %.0f samples/s  %s left",
      static_cast<unsigned long long>(in_epoch), static_cast<unsigned long long>(steps_per_epoch_),
      loss, accuracy_text(accuracy).c_str(), samples_per_second, left_text.c_str());
  char head[64];
  std::snprintf(head, sizeof head, "epoch %llu/%llu  ", static_cast<unsigned long long>(epoch),
                static_cast<unsigned long long>(epochs_));
  const int room = terminal_columns() - 1 -
                   static_cast<int>(std::string(head).size() + std::string(numbers).size());
  std::string line =
      std::string(head) + (room >= 5 ? bar(share, std::min(room, 24)) : "") + numbers;
  if (replaced_ > 0) line += "  " + std::to_string(replaced_) + " replaced";
  std::fprintf(stderr, "\r\033[K%s", line.c_str());
  std::fflush(stderr);
  line_open_ = true;
}

void Progress::epoch_done(const MetricsRow& row) {
  if (style_ == Style::quiet) return;
  clear();
  std::fprintf(stderr,
               "epoch %llu/%llu  train loss %.5g accuracy %s  test loss %.5g accuracy %s  %.0f "
               "samples/s\n",
               static_cast<unsigned long long>(row.epoch), static_cast<unsigned long long>(epochs_),
               row.train_loss, accuracy_text(row.train_accuracy).c_str(), row.test_loss,
               accuracy_text(row.test_accuracy).c_str(), row.train_samples_per_second);
}

void Progress::note(const std::string& line) {
  if (style_ == Style::quiet) return;
  clear();
  std::fprintf(stderr, "%s\n", line.c_str());
}

void Progress::end() { clear(); }

void Progress::clear() {
  if (!line_open_) return;
  std::fputs("\r\033[K", stderr);
  std::fflush(stderr);
  line_open_ = false;
}

}  // namespace lateral
