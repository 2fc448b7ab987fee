// A plan for people, and as JSON.
#pragma once

#include <string>

#include "parallel/planning/plan.h"

namespace triga {

/// Tables of stages and ranks, the times of a step, and the schedule; `columns`: of the terminal.
std::string plan_report(const PlanQuestion& question, const Plan& plan, int columns);

/// One object with every number of the report; times in seconds, memory in bytes.
std::string plan_as_json(const PlanQuestion& question, const Plan& plan);

}  // namespace triga
