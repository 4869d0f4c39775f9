// Selecting units and samples, and following how a batch settles.
#include "nodes/process/recorder.hpp"

#include <algorithm>

#include "core/check.hpp"
#include "core/probe/measures.hpp"

namespace lateral {
namespace {

/// values (samples × units) ← the selected units of the columns of `batch`, which holds the samples
/// from `first` on.
void take_samples(ConstMatrixRef batch, Index first, const std::vector<Index>& units, Index samples,
                  float* values) {
  for (Index j = 0; j < batch.cols() && first + j < samples; ++j) {
    float* out = values + (first + j) * static_cast<Index>(units.size());
    for (const Index unit : units) *out++ = batch(unit, j);
  }
}

Matrix selected_rows(const Matrix& from, const std::vector<Index>& units) {
  return from(units, Eigen::all);
}

/// The tensor of the layer's state, or none.
std::optional<TensorView> find_tensor(DenseLayer& layer, const std::string& name) {
  std::optional<TensorView> found;
  layer.visit_state([&](const TensorView& tensor) {
    if (tensor.name == name) found.emplace(tensor);
  });
  return found;
}

}  // namespace

Recorder::Recorder(const std::vector<Record>& records, const std::string& layer) {
  for (const Record& record : records)
    for (const Record::OfLayer& of : record.layers)
      if (of.layer == layer) parts_.push_back({&record, &of});
}

void Recorder::begin(std::uint64_t step, Index batch, DenseLayer& layer) {
  step_ = step;
  rows_.clear();
  bool settling = false;
  for (const Part& part : parts_) {
    if (!part.record->is_due(step)) continue;
    Row row{part, part.of->shape, {}, {}};
    if (const std::optional<std::size_t> axis = part.record->sample_axis())
      row.shape[*axis] = std::min(row.shape[*axis], static_cast<std::uint32_t>(batch));
    std::size_t size = 1;
    for (const std::uint32_t extent : row.shape) size *= extent;
    row.values = Block(size);
    if (part.record->what == Recorded::settling) {
      settling = true;
      row.last_state.assign(row.shape[1], 0);
      std::fill_n(row.values.data(), size, 0.0f);  // a sample without drive does not move
    }
    rows_.push_back(std::move(row));
  }
  if (settling)
    layer.watch_settling([this](int k, ConstMatrixRef x, std::span<const Index> column) {
      on_settling(k, x, column);
    });
}

void Recorder::see(ConstMatrixRef z, ConstMatrixRef y, Index first) {
  for (Row& row : rows_) {
    const Recorded what = row.part.record->what;
    if (what == Recorded::input || what == Recorded::activity)
      take_samples(what == Recorded::input ? z : y, first, row.part.of->units, row.shape[0],
                   row.values.data());
  }
}

void Recorder::on_settling(int step, ConstMatrixRef x, std::span<const Index> column) {
  for (Row& row : rows_) {
    if (row.part.record->what != Recorded::settling || step >= static_cast<int>(row.shape[0]))
      continue;
    const auto samples = static_cast<Index>(row.shape[1]);
    for (Index j = 0; j < x.cols(); ++j) {
      const Index sample = column[static_cast<std::size_t>(j)];
      if (sample >= samples) continue;
      row.last_state[static_cast<std::size_t>(sample)] = step;
      float* out = row.values.data() +
                   (step * samples + sample) * static_cast<Index>(row.part.of->units.size());
      for (const Index unit : row.part.of->units) *out++ = x(unit, j);
    }
  }
}

void Recorder::hold_settled(Row& row) {
  const auto states = static_cast<Index>(row.shape[0]), samples = static_cast<Index>(row.shape[1]);
  const auto units = static_cast<Index>(row.shape[2]);
  for (Index sample = 0; sample < samples; ++sample) {
    const Index last = row.last_state[static_cast<std::size_t>(sample)];
    const float* settled = row.values.data() + (last * samples + sample) * units;
    for (Index k = last + 1; k < states; ++k)
      std::copy_n(settled, units, row.values.data() + (k * samples + sample) * units);
  }
}

void Recorder::fill(Row& row, DenseLayer& layer) {
  const std::vector<Index>& units = row.part.of->units;
  const auto n = static_cast<Index>(units.size());
  using RowMajor = Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
  switch (row.part.record->what) {
    case Recorded::input:
    case Recorded::activity:
      return;  // seen as they came and went
    case Recorded::decorrelated:
      return take_samples(layer.decorrelated(), 0, units, row.shape[0], row.values.data());
    case Recorded::weight:
    case Recorded::lateral: {
      const bool weight = row.part.record->what == Recorded::weight;
      std::optional<TensorView> tensor = find_tensor(layer, weight ? "weight" : "decorrelation/M");
      if (!tensor) tensor = find_tensor(layer, "decorrelation/R");
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
      for (const Matrix* samples : {&layer.centred(), &layer.decorrelated()}) {
        Eigen::Map<RowMajor>(values, n, n) =
            correlation_matrix(selected_rows(*samples, units)).cast<float>();
        values += n * n;
      }
      return;
    }
    case Recorded::settling:
      return hold_settled(row);
  }
}

void Recorder::send(DenseLayer& layer, Outbox& out) {
  if (rows_.empty()) return;
  layer.watch_settling({});
  for (Row& row : rows_) {
    fill(row, layer);
    Message message;
    message.header.mutable_shape()->Assign(row.shape.begin(), row.shape.end());
    message.header.mutable_recorded()->set_record(row.part.record->name);
    message.header.mutable_recorded()->set_step(step_);
    message.body = std::move(row.values);
    out.send(coordinator_name, std::move(message));
  }
  rows_.clear();
}

}  // namespace lateral
