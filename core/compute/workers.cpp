// A round of work: opened by the caller, joined by helpers that are awake, closed when all is
// taken.
#include "core/compute/workers.hpp"

#include <system_error>

namespace lateral {

Workers::Workers(int threads) {
  try {
    for (int i = 1; i < threads; ++i) helpers_.emplace_back([this] { help(); });
  } catch (const std::system_error&) {
    // Fewer do: no bit depends on their number.
  }
}

Workers::~Workers() {
  {
    const std::lock_guard lock(mutex_);
    stop_ = true;
  }
  begun_.notify_all();
  for (std::thread& helper : helpers_) helper.join();
}

void Workers::run(Index count, const std::function<void(Index)>& piece) {
  if (helpers_.empty() || count <= 1) {
    for (Index i = 0; i < count; ++i) piece(i);
    return;
  }
  {
    const std::lock_guard lock(mutex_);
    piece_ = &piece;
    count_ = count;
    next_ = 0;
    failure_ = nullptr;
    open_ = true;
    ++round_;
  }
  if (count == 2)
    begun_.notify_one();
  else
    begun_.notify_all();
  take_pieces();
  std::unique_lock lock(mutex_);
  open_ = false;
  left_.wait(lock, [this] { return joined_ == 0; });
  if (failure_) std::rethrow_exception(failure_);
}

void Workers::help() {
  constexpr int misses_max = 4;  // in a row; then this many rounds without spinning
  constexpr int pause = 64;
  std::uint64_t seen = 0;
  int misses = 0, paused = 0;
  std::unique_lock lock(mutex_);
  for (;;) {
    if (paused > 0) {
      --paused;
    } else {
      lock.unlock();
      misses = spin(seen) ? 0 : misses + 1;
      if (misses == misses_max) misses = 0, paused = pause;
      lock.lock();
    }
    begun_.wait(lock, [&] { return stop_ || (open_ && round_ != seen); });
    if (stop_) return;
    seen = round_.load();
    ++joined_;
    lock.unlock();
    take_pieces();
    lock.lock();
    if (--joined_ == 0) left_.notify_one();
  }
}

bool Workers::spin(std::uint64_t seen) const {
  const auto end = std::chrono::steady_clock::now() + spin_max;
  do {
    if (round_.load(std::memory_order_relaxed) != seen) return true;
    std::this_thread::yield();  // leaves the processor to threads that have work
  } while (std::chrono::steady_clock::now() < end);
  return false;
}

void Workers::take_pieces() {
  for (Index i = next_++; i < count_; i = next_++) {
    try {
      (*piece_)(i);
    } catch (...) {
      const std::lock_guard lock(mutex_);
      if (!failure_) failure_ = std::current_exception();
    }
  }
}

}  // namespace lateral
