// Selection of units and samples, and settling trajectories.
#include "nodes/process/recorder.hpp"

#include <algorithm>

#include "core/check.hpp"
#include "core/probe/measures.hpp"

namespace lateral {
namespace {

/// values (samples × units) ← the selected units of the columns of `batch`, which holds the samples
/// from `first` on.
void copy_samples(ConstMatrixRef batch, Index first, const std::vector<Index>& units, Index samples,
                  float* values) {
  for (Index j = 0; j < batch.cols() && first + j < samples; ++j) {
    float* out = values + (first + j) * static_cast<Index>(units.size());
    for (const Index unit : units) *out++ = batch(unit, j);
  }
}

Matrix selected_rows(const Matrix& from, const std::vector<Index>& units) {
  return from(units, Eigen::all);
}

/// The tensor of the layer's state that has this role, or none.
std::optional<TensorView> find_tensor(Layer& layer, TensorRole role) {
  std::optional<TensorView> found;
  layer.visit_state([&](const TensorView& tensor) {
    if (tensor.role == role) found.emplace(tensor);
  });
  return found;
}

}  // namespace

void Recorder::begin(std::uint64_t step, Index batch, Layer& layer) {
  rows_.clear();
  bool settling = false;
  for (const Record& record : records_) {
    if (!record.is_due(step)) continue;
    const Record::OfLayer& of = record.layers.front();
    Row row{&record, &of, of.shape, {}, {}};
    if (const std::optional<std::size_t> axis = record.sample_axis())
      row.shape[*axis] = std::min(row.shape[*axis], static_cast<std::uint32_t>(batch));
    std::size_t size = 1;
    for (const std::uint32_t extent : row.shape) size *= extent;
    row.values = Block(size);
    if (record.what == Recorded::settling) {
      settling = true;
      row.last_state.assign(row.shape[1], 0);
      std::fill_n(row.values.data(), size, 0.0f);  // the state of a sample without input stays zero
    }
    rows_.push_back(std::move(row));
  }
  if (settling)
    layer.watch_settling([this](int k, ConstMatrixRef x, std::span<const Index> column) {
      add_settling(k, x, column);
    });
}

void Recorder::add_micro_batch(ConstMatrixRef z, ConstMatrixRef y, Index first) {
  for (Row& row : rows_) {
    const Recorded what = row.record->what;
    if (what == Recorded::input || what == Recorded::activity)
      copy_samples(what == Recorded::input ? z : y, first, row.of->units, row.shape[0],
                   row.values.data());
  }
}

void Recorder::add_settling(int settling_step, ConstMatrixRef x, std::span<const Index> column) {
  for (Row& row : rows_) {
    if (row.record->what != Recorded::settling || settling_step >= static_cast<int>(row.shape[0]))
      continue;
    const auto samples = static_cast<Index>(row.shape[1]);
    for (Index j = 0; j < x.cols(); ++j) {
      const Index sample = column[static_cast<std::size_t>(j)];
      if (sample >= samples) continue;
      row.last_state[static_cast<std::size_t>(sample)] = settling_step;
      float* out = row.values.data() +
                   (settling_step * samples + sample) * static_cast<Index>(row.of->units.size());
      for (const Index unit : row.of->units) *out++ = x(unit, j);
    }
  }
}

void Recorder::repeat_last_state(Row& row) {
  const auto states = static_cast<Index>(row.shape[0]), samples = static_cast<Index>(row.shape[1]);
  const auto units = static_cast<Index>(row.shape[2]);
  for (Index sample = 0; sample < samples; ++sample) {
    const Index last = row.last_state[static_cast<std::size_t>(sample)];
    const float* settled = row.values.data() + (last * samples + sample) * units;
    for (Index k = last + 1; k < states; ++k)
      std::copy_n(settled, units, row.values.data() + (k * samples + sample) * units);
  }
}

void Recorder::fill(Row& row, Layer& layer, const LayerStep& step) {
  const std::vector<Index>& units = row.of->units;
  const auto n = static_cast<Index>(units.size());
  using RowMajor = Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
  switch (row.record->what) {
    case Recorded::input:
    case Recorded::activity:
      return;  // recorded in add_micro_batch()
    case Recorded::decorrelated:
      return copy_samples(layer.decorrelated(step), 0, units, row.shape[0], row.values.data());
    case Recorded::weight:
    case Recorded::lateral: {
      const bool weight = row.record->what == Recorded::weight;
      std::optional<TensorView> tensor =
          find_tensor(layer, weight ? TensorRole::weight : TensorRole::lateral);
      if (!weight && !tensor) tensor = find_tensor(layer, TensorRole::feedforward);
      LATERAL_CHECK(tensor.has_value());
      const Eigen::Map<const Matrix> matrix(tensor->data, tensor->rows, tensor->cols);
      Eigen::Map<RowMajor> values(row.values.data(), n, static_cast<Index>(row.shape[1]));
      if (weight)
        values = matrix(units, Eigen::all);
      else
        values = matrix(units, units);
      return;
    }
    case Recorded::correlation: {
      float* values = row.values.data();
      for (const Matrix* samples : {&layer.centred(step), &layer.decorrelated(step)}) {
        Eigen::Map<RowMajor>(values, n, n) =
            correlation_matrix(selected_rows(*samples, units)).cast<float>();
        values += n * n;
      }
      return;
    }
    case Recorded::settling:
      return repeat_last_state(row);
  }
}

void Recorder::send(Layer& layer, const LayerStep& step, Outbox& out) {
  if (rows_.empty()) return;
  layer.watch_settling({});
  for (Row& row : rows_) {
    fill(row, layer, step);
    Message message;
    message.header.mutable_shape()->Assign(row.shape.begin(), row.shape.end());
    message.header.mutable_recorded()->set_record(row.record->name);
    message.header.mutable_recorded()->set_step(step.number);
    message.body = std::move(row.values);
    out.send(coordinator_name, std::move(message));
  }
  rows_.clear();
}

}  // namespace lateral
