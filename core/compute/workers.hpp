// Workers: the threads of one node, sharing out pieces of work whose cut never depends on them.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <exception>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

#include "core/types.hpp"

namespace lateral {

/// Pieces are taken one by one by any free thread, the caller included. So a helper whose core
/// another process is using takes fewer, or none, and no thread waits for it: nodes may have as
/// many threads as the machine has cores without being in each other's way. A helper spins for up
/// to spin_max until the next round begins before it sleeps, and stops doing so while that has not
/// been worth it.
class Workers {
 public:
  static constexpr std::chrono::microseconds spin_max{50};
  explicit Workers(int threads);  ///< the caller's thread counts as one
  ~Workers();
  Workers(const Workers&) = delete;
  Workers& operator=(const Workers&) = delete;

  /// piece(i) once for every i in [0, count), in any order and on any thread; returns when all are
  /// done. Rethrows the first exception of a piece.  One caller at a time.
  void run(Index count, const std::function<void(Index)>& piece);
  int threads() const { return static_cast<int>(helpers_.size()) + 1; }

 private:
  void help();
  /// True if another round than `seen` began while spinning.
  bool spin(std::uint64_t seen) const;
  void take_pieces();

  std::mutex mutex_;
  std::condition_variable begun_, left_;
  bool stop_ = false;
  std::atomic<std::uint64_t> round_{0};
  bool open_ = false;  // helpers may join this round
  int joined_ = 0;
  const std::function<void(Index)>* piece_ = nullptr;
  Index count_ = 0;
  std::atomic<Index> next_{0};
  std::exception_ptr failure_;
  std::vector<std::thread> helpers_;
};

}  // namespace lateral
